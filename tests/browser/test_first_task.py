"""What a user does first: give a plugin, watch it, take the package."""

import hashlib
import subprocess
from pathlib import Path

from playwright.sync_api import Page, expect

from fakes.index import FakeIndex
from local_mode import RunningMode
from requirements import require_command


def test_an_uploaded_plugin_becomes_a_package_whose_checksum_the_page_shows(page: Page, plugin: Path, tmp_path: Path):
    page.goto("/")
    page.get_by_role("link", name="New task").or_(page.get_by_role("button", name="New task")).first.click()
    page.locator("input[type=file]").first.set_input_files(plugin)
    page.get_by_role("button", name="Repackage", exact=True).click()

    page.wait_for_url("**/tasks/default/**")
    expect(page.get_by_role("button", name="Run again")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Enforced by the kernel")).to_be_visible()

    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download", exact=True).first.click()
    target = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(target)
    assert target.name.endswith(".difypkg")
    expect(page.get_by_text(hashlib.sha256(target.read_bytes()).hexdigest(), exact=True)).to_be_visible()
    expect(page.get_by_text("FORCE_VERIFYING_SIGNATURE=false")).to_be_visible()


def test_a_pasted_link_becomes_a_task(page: Page, plugin_url: str):
    page.goto("/new")
    page.locator("label", has_text="Paste links").click()
    page.get_by_role("textbox", name="Links to plugins").fill(plugin_url)
    page.get_by_role("button", name="Repackage", exact=True).click()
    page.wait_for_url("**/tasks/default/**")
    expect(page.get_by_text("Enforced by the kernel")).to_be_visible(timeout=60_000)


def test_stages_bytes_and_log_are_seen_while_they_happen(page: Page, mode: RunningMode, slow_plugin_url: str):
    mode.create_task("seen-live", slow_plugin_url)
    page.goto("/tasks/default/seen-live")
    download = page.get_by_role("listitem").filter(has_text="Download")
    expect(download).to_contain_text("running", timeout=30_000)
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("Plan done")
    expect(page.get_by_text("Enforced by the kernel")).to_be_visible(timeout=60_000)


def test_a_change_in_the_cluster_reaches_the_list_without_a_reload(page: Page, mode: RunningMode, plugin_url: str):
    page.goto("/")
    expect(page.get_by_text("Connected")).to_be_visible()
    mode.create_task("made-elsewhere", plugin_url)
    row = page.get_by_role("row").filter(has_text="made-elsewhere")
    expect(row).to_be_visible()
    expect(row).to_contain_text("Succeeded", timeout=60_000)


def test_a_failure_says_what_happened_and_what_to_do(page: Page, mode: RunningMode, index: FakeIndex):
    mode.create_task("no-zip", index.add_file("no-zip.difypkg", b"not a zip at all"))
    page.goto("/tasks/default/no-zip")
    note = page.get_by_role("alert")
    expect(note).to_contain_text("not a", timeout=60_000)
    expect(note).to_contain_text("What to do")
    expect(page.get_by_role("button", name="Run again")).to_be_visible()
    expect(page.get_by_text("Traceback")).to_have_count(0)


def test_run_again_makes_a_new_task_and_leaves_the_old_one(page: Page, mode: RunningMode, plugin_url: str):
    mode.create_task("once", plugin_url)
    page.goto("/tasks/default/once")
    page.get_by_role("button", name="Run again").click(timeout=60_000)
    page.wait_for_url("**/tasks/default/once-2")
    expect(page.get_by_text("Enforced by the kernel")).to_be_visible(timeout=60_000)
    assert mode.task("once")["status"]["phase"] == "Succeeded"


def test_cancelling_asks_once_and_says_what_happens(page: Page, mode: RunningMode, slow_plugin_url: str):
    mode.create_task("to-cancel", slow_plugin_url)
    page.goto("/tasks/default/to-cancel")
    page.get_by_role("button", name="Cancel", exact=True).click(timeout=30_000)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The worker is asked to stop")
    dialog.get_by_role("button", name="Cancel the task").click()
    expect(page.get_by_role("button", name="Run again")).to_be_visible(timeout=60_000)
    assert mode.task("to-cancel")["status"]["phase"] == "Cancelled"


def test_deleting_names_the_file_that_is_lost(page: Page, mode: RunningMode, plugin_url: str):
    mode.create_task("to-delete", plugin_url)
    mode.wait_for_phase("to-delete", "Succeeded")
    page.goto("/tasks/default/to-delete")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(".difypkg")
    dialog.get_by_role("button", name="Delete the task").click()
    expect(page.get_by_role("row").filter(has_text="to-delete")).to_have_count(0)
    assert mode.task("to-delete") == {}


def test_a_dry_run_in_the_form_shows_the_plan_and_stays_out_of_the_list(page: Page, plugin_url: str, mode: RunningMode):
    page.goto("/new")
    page.locator("label", has_text="Paste links").click()
    page.get_by_role("textbox", name="Links to plugins").fill(plugin_url)
    page.get_by_role("button", name="Check first").click()
    plan = page.get_by_test_id("plan")
    expect(plan).to_contain_text("What would be made", timeout=60_000)
    expect(plan).to_contain_text("Size of linux/amd64")
    dry = [task for task in mode.tasks() if task["spec"].get("dryRun")]
    assert [task["spec"]["ttlSecondsAfterFinished"] for task in dry] == [900]
    page.get_by_role("button", name="Repackage", exact=True).click()
    page.wait_for_url("**/tasks/default/**")
    expect(page.get_by_text("Enforced by the kernel")).to_be_visible(timeout=60_000)
    page.goto(f"/?q={dry[0]['metadata']['name'] if 'metadata' in dry[0] else dry[0]['name']}")
    expect(page.locator(f"[data-uid='{dry[0]['uid']}']")).to_have_count(0)


def test_what_the_page_gives_as_yaml_is_accepted_by_kubectl(page: Page, mode: RunningMode, plugin_url: str):
    kubectl = require_command("kubectl", install="see kubernetes.io/docs/tasks/tools")
    mode.create_task("as-yaml", plugin_url)
    mode.wait_for_phase("as-yaml", "Succeeded")
    page.goto("/tasks/default/as-yaml")
    page.get_by_text("YAML and kubectl").click()
    manifest = page.locator("pre").inner_text().replace("name: as-yaml", "name: from-yaml")
    applied = subprocess.run(
        [kubectl, "--kubeconfig", str(mode.kubeconfig), "apply", "-f", "-"],
        input=manifest, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert applied.returncode == 0, applied.stderr
    mode.wait_for_phase("from-yaml", "Succeeded")
