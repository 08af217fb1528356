"""The page of one task: why it waits, its log, its packages, and what is told elsewhere when it ends."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import scenes
from repack_contract.progress import LogLine
from running_dashboard import SENDER, from_worker, moment
from staged import Stage, a_task_of, an_artifact, at, uid_of


def with_log(stage: Stage, lines: int, *, phase: str = "Running") -> None:
    """One task whose worker has told so many lines."""
    stage.put(a_task_of(1, plugin="acme/talker", phase=phase, seconds=60))
    told = [LogLine(n=n, ts=datetime.now(UTC), text=f"line {n} of {lines}") for n in range(1, lines + 1)]
    stage.run(stage.dashboard.services.attempts.complete(uid_of(1), 1, told))


def test_an_image_that_cannot_be_pulled_is_read_without_kubectl(on_stage: Page, stage: Stage):
    scenes.a_busy_day(stage)
    on_stage.goto("/tasks/default/mcp-sse-0-2-2")
    trouble = on_stage.get_by_test_id("pod-trouble")
    expect(trouble).to_contain_text("The worker's image could not be pulled.")
    expect(trouble).to_contain_text("registry.intranet/dify-repack-worker:0.1.0")
    expect(trouble).to_contain_text("Check the image name and the pull secret")
    on_stage.get_by_text("Pods and Events").click()
    expect(on_stage.get_by_role("region", name="Events")).to_contain_text("Failed to pull image: unauthorized")


def test_a_queued_task_says_its_place_its_reason_and_about_when_it_begins(on_stage: Page, stage: Stage):
    scenes.a_busy_day(stage)
    on_stage.goto("/tasks/default/tavily-0-1-2")
    waiting = on_stage.get_by_test_id("waiting")
    expect(waiting).to_contain_text("Position 2 in the queue: all 2 slots are in use. Begins in about")


def test_each_target_has_its_package_and_a_weaker_proof_is_called_weaker(on_stage: Page, stage: Stage):
    scenes.a_busy_day(stage)
    on_stage.goto("/tasks/default/ollama-0-1-3")
    expect(on_stage.get_by_role("region", name="Offline package linux/amd64")).to_contain_text("Enforced by the kernel")
    expect(on_stage.get_by_role("region", name="Offline package linux/arm64")).to_contain_text("Weaker method")


def test_a_hundred_thousand_lines_stay_responsive_and_are_searched_whole(on_stage: Page, stage: Stage):
    with_log(stage, 100_000)
    on_stage.goto("/tasks/default/talker-1-0-0")
    log = on_stage.get_by_role("log")
    expect(log).to_contain_text("line 100000 of 100000")
    assert log.locator("[data-index]").count() < 150
    on_stage.get_by_role("searchbox", name="Search the log").fill("line 777 of")
    expect(on_stage.get_by_text("No match")).to_be_visible()
    on_stage.get_by_role("button", name="Search the whole log").click()
    expect(on_stage.get_by_text("1 of 1", exact=True)).to_be_visible(timeout=30_000)
    expect(log.locator("mark")).to_have_text("line 777 of")
    assert log.locator("[data-index]").count() < 150


def test_following_pauses_when_one_scrolls_up_and_goes_on_when_asked(on_stage: Page, stage: Stage):
    with_log(stage, 500)
    on_stage.goto("/tasks/default/talker-1-0-0")
    log = on_stage.get_by_role("log")
    expect(log).to_contain_text("line 500 of 500")
    log.hover()
    on_stage.mouse.wheel(0, -2_000)
    expect(on_stage.get_by_role("checkbox", name="Follow")).not_to_be_checked()
    told = [{"n": n, "ts": moment(), "text": f"late {n}"} for n in range(501, 511)]
    stage.tell(from_worker(uid_of(1), {"kind": "log", "lines": told}, batch=900))
    expect(on_stage.get_by_text("10 new lines")).to_be_visible()
    on_stage.get_by_role("button", name="Jump to latest").click()
    expect(log).to_contain_text("late 510")


def test_a_line_has_an_address_that_shows_it_to_others(on_stage: Page, stage: Stage):
    with_log(stage, 5_000)
    on_stage.goto("/tasks/default/talker-1-0-0#L120-L122")
    log = on_stage.get_by_role("log")
    expect(log.locator("[data-chosen]")).to_have_count(3)
    expect(log.get_by_text("line 121 of 5000")).to_be_in_viewport()
    log.get_by_role("button", name="124", exact=True).click()
    expect(on_stage).to_have_url(f"{stage.url}/tasks/default/talker-1-0-0#L124")
    log.get_by_role("button", name="126", exact=True).click(modifiers=["Shift"])
    expect(on_stage).to_have_url(f"{stage.url}/tasks/default/talker-1-0-0#L124-L126")


def test_colours_of_a_log_become_classes_and_markup_stays_text(on_stage: Page, stage: Stage):
    stage.put(a_task_of(1, plugin="acme/talker", phase="Running"))
    texts = ["\x1b[31mred\x1b[0m plain", "<img src=x onerror=alert(1)>", "\x1b]8;;http://evil.test\x07link\x1b]8;;\x07"]
    told = [{"n": n, "ts": moment(), "text": text} for n, text in enumerate(texts, start=1)]
    stage.tell(from_worker(uid_of(1), {"kind": "log", "lines": told}))
    on_stage.goto("/tasks/default/talker-1-0-0")
    log = on_stage.get_by_role("log")
    expect(log.get_by_text("red", exact=True)).to_have_class("ansi-red")
    expect(log).to_contain_text("<img src=x onerror=alert(1)>")
    assert log.locator("img, a").count() == 0


def test_a_task_that_ends_elsewhere_is_told_and_one_in_view_is_not(on_stage: Page, stage: Stage):
    stage.put(a_task_of(1, plugin="acme/here", phase="Running"), a_task_of(2, plugin="acme/elsewhere", phase="Running"))
    on_stage.goto("/tasks/default/here-1-0-0")
    expect(on_stage).to_have_title("(2) here-1-0-0 · Dify offline packages")
    icon = on_stage.locator("link[rel=icon]")
    assert (icon.get_attribute("href") or "").startswith("data:image/svg+xml")
    stage.put(
        a_task_of(1, plugin="acme/here", status={"sequence": 9}),
        a_task_of(2, plugin="acme/elsewhere", phase="Failed", status={"sequence": 9, "reason": "DiskFull"}),
    )
    toasts = on_stage.get_by_test_id("toasts")
    expect(toasts.get_by_role("alert")).to_contain_text("acme/elsewhere failed.")
    expect(toasts).not_to_contain_text("acme/here")
    expect(on_stage).to_have_title("here-1-0-0 · Dify offline packages")
    expect(icon).to_have_attribute("href", "/favicon.svg")
    toasts.get_by_role("link", name="Look at it").click()
    expect(on_stage.get_by_role("heading", level=1)).to_contain_text("acme/elsewhere")


def test_the_storage_figures_are_those_of_the_volume_and_the_rules_are_in_words(on_stage: Page, stage: Stage):
    content = b"PK\x03\x04" + bytes(3_000_000)
    uid, name = uid_of(1), "acme-kept_1.0.0-linux-amd64-offline.difypkg"
    stage.put(a_task_of(1, plugin="acme/kept", status={"artifacts": []}))
    headers = SENDER | {"X-Content-SHA256": hashlib.sha256(content).hexdigest()}
    path = f"/api/v1/ingest/artifacts/{uid}/1/amd64/{name}"
    stage.run(stage.dashboard.http.put(path, content=content, headers=headers))
    artifact = an_artifact(uid, "acme", "kept", "1.0.0", size=len(content))
    stage.put(a_task_of(1, plugin="acme/kept", status={"artifacts": [artifact], "sequence": 6, "expiresAt": at()}))
    on_stage.goto("/packages")
    storage = on_stage.get_by_role("region", name="Storage")
    expect(storage.locator("[data-kind=packages]")).to_contain_text("3.0 MB")
    expect(storage).to_contain_text("are removed after 24 hours")
    files = on_stage.get_by_role("region", name="Recent files")
    expect(files.get_by_role("link", name=name, exact=True)).to_be_visible()
    expect(files).to_contain_text("Kept until")
    with on_stage.expect_download() as waiting:
        files.get_by_role("link", name=f"Download {name}").click()
    assert Path(waiting.value.path()).read_bytes() == content


@pytest.mark.parametrize("span", ["24 hours", "7 days"])
def test_throughput_is_a_picture_with_a_table_that_says_the_same(on_stage: Page, stage: Stage, span: str):
    scenes.a_busy_day(stage)
    on_stage.goto("/throughput")
    on_stage.locator("label", has_text=span).click()
    expect(on_stage.get_by_role("img", name="Tasks that ended, by time.")).to_be_visible()
    on_stage.get_by_text("As a table").click()
    cells: list[Any] = on_stage.locator("tbody td").all_inner_texts()
    ended = on_stage.locator("dl > div", has_text="Tasks ended").locator("dd").inner_text()
    assert sum(map(int, cells)) == int(ended) > 10
    on_stage.get_by_role("link", name="The package index").click()
    expect(on_stage.locator("[data-uid]").first).to_contain_text("Failed")


def test_throughput_counts_what_was_deleted_since(on_stage: Page, stage: Stage):
    stage.put(a_task_of(1, plugin="acme/stays", minutes_ago=3))
    stage.put(a_task_of(2, plugin="acme/goes", phase="Failed", minutes_ago=2, status={"reason": "DiskFull"}))
    with on_stage.expect_response("**/api/v1/history"):
        on_stage.goto("/throughput")
    on_stage.wait_for_load_state("networkidle")
    ended = on_stage.locator("dl > div", has_text="Tasks ended").locator("dd")
    expect(on_stage.get_by_role("link", name="There is no room left on the disk.")).to_be_visible()
    many = ended.inner_text()
    stage.run(stage.dashboard.http.delete(f"/api/v1/tasks/{uid_of(2)}"))
    expect(on_stage.get_by_role("link", name="There is no room left on the disk.")).to_be_visible()
    expect(ended).to_have_text(many)
    on_stage.reload()
    expect(ended).to_have_text(many)
    expect(on_stage.get_by_role("link", name="There is no room left on the disk.")).to_be_visible()


def test_of_two_targets_the_one_that_failed_is_named_and_the_other_is_there(on_stage: Page, stage: Stage):
    stage.put(
        a_task_of(1, plugin="acme/half", phase="Failed",
                  spec={"targets": [{"arch": "amd64"}, {"arch": "arm64"}]},
                  status={"reason": "NoWheelForPlatform",
                          "message": "linux/arm64: numpy==2.1.3 has no wheel. Hint: Choose another target.",
                          "artifacts": [an_artifact(uid_of(1), "acme", "half", "1.0.0")]})
    )  # fmt: skip
    on_stage.goto("/tasks/default/half-1-0-0")
    note = on_stage.get_by_role("alert")
    expect(note).to_contain_text("linux/arm64: numpy==2.1.3 has no wheel.")
    expect(note).to_contain_text("What to do: Choose another target.")
    expect(note.get_by_role("button", name="Copy the server's words")).to_be_visible()
    package = on_stage.get_by_role("region", name="Offline package linux/amd64")
    expect(package.get_by_role("link", name="Download")).to_be_visible()
    expect(on_stage.get_by_role("region", name="Offline package linux/arm64")).to_have_count(0)


def test_a_reload_in_the_middle_shows_the_same_stages_and_bytes(on_stage: Page, stage: Stage):
    scenes.a_busy_day(stage)
    on_stage.goto("/tasks/default/openai-0-2-7")
    stages = on_stage.get_by_role("list", name="Stages").locator("[data-state]")
    expect(on_stage.get_by_text("48.1 MB of 77.6 MB")).to_be_visible()
    before = stages.evaluate_all("all => all.map(each => [each.dataset.stage, each.dataset.state])")
    assert before[:3] == [["Fetch", "Done"], ["Plan", "Done"], ["Download", "Running"]]
    on_stage.reload()
    expect(on_stage.get_by_text("48.1 MB of 77.6 MB")).to_be_visible()
    assert stages.evaluate_all("all => all.map(each => [each.dataset.stage, each.dataset.state])") == before


def test_the_log_of_a_task_whose_pod_is_gone_is_read_as_one_likes(on_stage: Page, stage: Stage):
    with_log(stage, 300, phase="Succeeded")
    on_stage.context.grant_permissions(["clipboard-read", "clipboard-write"])
    on_stage.goto("/tasks/default/talker-1-0-0#log")
    viewer = on_stage.get_by_role("region", name="Log")
    expect(viewer).to_be_in_viewport()
    log = viewer.get_by_role("log")
    expect(log).to_contain_text("line 300 of 300")
    viewer.get_by_role("checkbox", name="Wrap").check()
    viewer.get_by_role("checkbox", name="Time").check()
    expect(log.locator("[data-index]").last).to_contain_text(":")
    viewer.get_by_role("button", name="Copy Log").click()
    assert on_stage.evaluate("navigator.clipboard.readText()").splitlines()[-1] == "line 300 of 300"
    with on_stage.expect_download() as waiting:
        viewer.get_by_role("link", name="Download the log").click()
    assert Path(waiting.value.path()).read_text().count("\n") == 300
    viewer.get_by_role("button", name="Full screen").click()
    expect(viewer.get_by_role("button", name="Leave full screen")).to_be_visible()
    viewer.get_by_role("button", name="Leave full screen").click()
    on_stage.reload()
    expect(viewer.get_by_role("checkbox", name="Wrap")).to_be_checked()
    expect(viewer.get_by_role("checkbox", name="Time")).to_be_checked()


def test_keys_follow_the_log_cancel_and_run_again(on_stage: Page, stage: Stage):
    with_log(stage, 50)
    on_stage.goto("/tasks/default/talker-1-0-0")
    follow = on_stage.get_by_role("checkbox", name="Follow")
    expect(follow).to_be_checked()
    on_stage.keyboard.press("f")
    expect(follow).not_to_be_checked()
    on_stage.keyboard.press("c")
    expect(on_stage.get_by_role("dialog", name="Cancel this task?")).to_be_visible()
    on_stage.keyboard.press("Escape")
    expect(on_stage.get_by_role("dialog")).to_have_count(0)
    stage.put(a_task_of(1, plugin="acme/talker", status={"sequence": 9}))
    expect(on_stage.get_by_role("button", name="Run again")).to_be_visible()
    on_stage.keyboard.press("r")
    on_stage.wait_for_url("**/tasks/default/talker-1-0-0-2")
