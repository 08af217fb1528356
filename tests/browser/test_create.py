"""The form: the Marketplace, many links, links from elsewhere, and running again with changes."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from fakes.marketplace import FakeMarketplace
from staged import Stage, a_task_of, staged


def way(page: Page, name: str) -> None:
    page.get_by_role("dialog").locator("label", has_text=name).click()


def sources(stage: Stage) -> list[dict[str, Any]]:
    return [body["spec"]["source"] for body in stage.api.objects.values()]


def test_a_plugin_is_found_in_the_marketplace_and_its_version_chosen_by_keyboard(on_stage: Page, stage: Stage):
    on_stage.goto("/new")
    on_stage.get_by_role("radio", name="Marketplace").focus()
    on_stage.keyboard.press("Space")
    expect(on_stage.get_by_role("button", name="Tavily")).to_be_visible()
    search = on_stage.get_by_role("searchbox", name="Search the Marketplace")
    expect(search).to_be_focused()
    on_stage.keyboard.type("ollama")
    expect(on_stage.get_by_role("button", name="Tavily")).to_have_count(0)
    plugin = on_stage.get_by_role("button", name="Ollama", exact=True)
    plugin.focus()
    on_stage.keyboard.press("Enter")
    expect(plugin).to_have_attribute("aria-pressed", "true")
    version = on_stage.get_by_role("combobox", name="Version of ollama")
    expect(version.locator("option")).to_have_text(["0.1.3", "0.0.7", "latest"])
    version.select_option("0.0.7")
    on_stage.get_by_role("button", name="Repackage", exact=True).click()
    on_stage.wait_for_url("**/tasks/default/ollama-0-0-7")
    assert sources(stage) == [
        {"type": "Marketplace", "marketplace": {"author": "langgenius", "name": "ollama", "version": "0.0.7"}}
    ]


def test_the_marketplace_is_narrowed_by_category_and_author_and_shows_icons(on_stage: Page):
    on_stage.goto("/new")
    way(on_stage, "Marketplace")
    results = on_stage.get_by_role("group", name="Plugins")
    expect(results.locator("img").first).to_be_visible()
    on_stage.get_by_role("combobox", name="Category").select_option("agent-strategy")
    expect(results.get_by_role("button", name="Dify Agent Strategies")).to_be_visible()
    expect(results.get_by_role("button", name="OpenAI", exact=True)).to_have_count(0)
    on_stage.get_by_role("combobox", name="Category").select_option("")
    on_stage.get_by_role("combobox", name="Author").fill("junjiem")
    expect(results.get_by_role("button", name="MCP SSE")).to_be_visible()
    expect(results.get_by_role("button", name="Ollama")).to_have_count(0)


@pytest.mark.parametrize("fault", ["503", "html", "slow"])
def test_without_the_marketplace_the_form_says_so_and_takes_what_is_typed(
    on_stage: Page, stage: Stage, market: FakeMarketplace, complaints: Any, fault: str
):
    complaints.expect("status of 502")
    # A question that was not asked before, so that no kept answer helps.
    market.fault = fault
    try:
        on_stage.goto("/new")
        way(on_stage, "Marketplace")
        on_stage.get_by_role("searchbox", name="Search the Marketplace").fill(f"while {fault}")
        note = on_stage.get_by_role("alert").filter(has_text="The Marketplace could not be asked.")
        expect(note).to_be_visible()
        note.get_by_role("button", name="Type its name instead").click()
        on_stage.get_by_role("textbox", name="Links to plugins").fill("acme/foo@1.0.0")
        on_stage.get_by_role("button", name="Repackage", exact=True).click()
        on_stage.wait_for_url("**/tasks/default/foo-1-0-0")
    finally:
        market.fault = None


def test_where_the_marketplace_is_switched_off_the_form_does_not_offer_it(on_stage: Page, tmp_path: Path):
    with staged(tmp_path) as closed:
        on_stage.goto(f"{closed.url}/new")
        expect(on_stage.get_by_role("radio", name="Paste links")).to_be_visible()
        expect(on_stage.get_by_role("radio", name="Marketplace")).to_have_count(0)
        on_stage.goto("about:blank")


def test_many_links_become_many_tasks_after_a_look_at_what_they_mean(on_stage: Page, stage: Stage):
    stage.put(a_task_of(1, plugin="acme/made", version="2.0.0"))
    on_stage.goto("/new")
    way(on_stage, "Paste links")
    on_stage.get_by_role("textbox", name="Links to plugins").fill(
        "acme/one@1.0.0\n- acme/made@2.0.0\nhttps://marketplace.dify.ai/plugins/acme/one/1.0.0\nftp://nowhere\nacme/two@1"
    )
    preview = on_stage.get_by_role("region", name="What the lines mean")
    expect(preview.locator("[data-state=good]")).to_have_count(3)
    expect(preview.locator("[data-state=duplicate]")).to_contain_text("Named before")
    expect(preview.locator("[data-state=wrong]")).to_contain_text("Only http and https")
    expect(preview.get_by_role("link", name="made-2-0-0")).to_be_visible()
    on_stage.get_by_role("button", name="Repackage 3 plugins").click()
    expect(on_stage.get_by_test_id("toasts")).to_contain_text("3 tasks created.")
    expect(on_stage.locator("[data-uid]")).to_have_count(4)
    assert {"one-1-0-0", "two-1", "made-2-0-0-2"} <= {name for _, name in stage.api.objects}


def test_what_is_refused_of_many_is_told_by_name_and_the_others_are_made(on_stage: Page, stage: Stage, complaints: Any):
    complaints.expect("status of 422")
    on_stage.goto("/new")
    way(on_stage, "Paste links")
    long_name = "n" * 130
    on_stage.get_by_role("textbox", name="Links to plugins").fill(f"acme/one@1.0.0\nhttps://x.test/{'y' * 2100}")
    on_stage.get_by_role("button", name="Repackage 2 plugins").click()
    refused = on_stage.get_by_role("alert").filter(has_text="Created: 1. Refused: 1.")
    expect(refused).to_contain_text("https://x.test/")
    assert len(stage.api.objects) == 1, long_name


@pytest.mark.parametrize(
    ("search", "link"),
    [
        ("/?plugin=https://marketplace.dify.ai/plugin/acme/foo", "https://marketplace.dify.ai/plugin/acme/foo"),
        ("/?author=acme&name=foo&version=1.2.3", "acme/foo@1.2.3"),
        ("/new?source=marketplace&author=acme&name=foo&version=1.2.3&platform=arm64", "acme/foo@1.2.3"),
        ("/?url=https://files.test/foo.difypkg", "https://files.test/foo.difypkg"),
    ],
)
def test_a_deep_link_fills_the_form_and_starts_nothing(on_stage: Page, stage: Stage, search: str, link: str):
    on_stage.goto(search)
    expect(on_stage.get_by_role("textbox", name="Links to plugins")).to_have_value(link)
    expect(on_stage.get_by_role("button", name="Repackage", exact=True)).to_be_visible()
    arm = on_stage.get_by_role("checkbox", name="linux/arm64")
    expect(arm).to_be_checked(checked="arm64" in search)
    assert stage.api.objects == {}


def test_run_with_changes_opens_the_form_as_the_task_was_and_names_what_it_runs_again(on_stage: Page, stage: Stage):
    index = {"packageIndex": {"url": "https://mirror.test/simple"}, "targets": [{"arch": "arm64"}]}
    stage.put(
        a_task_of(1, plugin="acme/foo", phase="Failed", spec=index,
                  status={"reason": "IndexUnreachable", "message": "No answer. Hint: Set a mirror."})
    )  # fmt: skip
    on_stage.goto("/tasks/default/foo-1-0-0")
    on_stage.get_by_role("link", name="Run with changes").click()
    dialog = on_stage.get_by_role("dialog", name="Run again with changes")
    expect(dialog.get_by_role("textbox", name="Links to plugins")).to_have_value("acme/foo@1.0.0")
    expect(dialog.get_by_role("checkbox", name="linux/arm64")).to_be_checked()
    mirror = dialog.get_by_role("textbox", name="Mirror of the Python index")
    expect(mirror).to_have_value("https://mirror.test/simple")
    mirror.fill("https://other.test/simple")
    dialog.get_by_role("button", name="Repackage", exact=True).click()
    on_stage.wait_for_url("**/tasks/default/foo-1-0-0-2")
    made = stage.api.objects["default", "foo-1-0-0-2"]
    assert made["metadata"]["labels"] == {"dify-repack.io/rerun-of": "foo-1-0-0"}
    assert made["spec"]["packageIndex"] == {"url": "https://other.test/simple"}
    expect(on_stage.get_by_role("region", name="Earlier and later runs")).to_contain_text("foo-1-0-0")


def test_a_file_of_another_kind_is_refused_with_the_reason_before_it_is_sent(on_stage: Page, tmp_path: Path):
    picture = tmp_path / "holiday.png"
    picture.write_bytes(b"png")
    on_stage.goto("/new")
    on_stage.locator("input[type=file]").set_input_files(picture)
    expect(on_stage.get_by_role("alert")).to_contain_text("holiday.png is no .difypkg file")


def test_a_file_is_dropped_anywhere_on_the_page_and_its_upload_can_be_cancelled(on_stage: Page):
    on_stage.route("**/api/v1/uploads**", lambda _route: None)  # an answer that never comes
    on_stage.goto("/packages")
    expect(on_stage.get_by_role("heading", name="Packages")).to_be_visible()
    on_stage.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(['PK'], 'dropped.difypkg'));
          for (const kind of ['dragenter', 'dragover', 'drop'])
            document.body.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
        }"""
    )
    dialog = on_stage.get_by_role("dialog", name="New task")
    expect(dialog).to_contain_text("dropped.difypkg")
    expect(dialog.get_by_role("progressbar", name="Uploading dropped.difypkg")).to_be_attached()
    expect(dialog.get_by_role("button", name="Repackage")).to_be_disabled()
    dialog.get_by_role("button", name="Cancel the upload").click()
    expect(dialog).to_contain_text("Drop a .difypkg file here")
    expect(dialog.get_by_role("button", name="Repackage")).to_be_enabled()


def test_a_proxy_that_answers_an_upload_with_a_page_of_its_own_is_told_as_a_failure(on_stage: Page, tmp_path: Path):
    plugin = tmp_path / "a.difypkg"
    plugin.write_bytes(b"PK")
    on_stage.route("**/api/v1/uploads**", lambda route: route.fulfill(status=200, body="<html>sign in</html>"))
    on_stage.goto("/new")
    on_stage.locator("input[type=file]").set_input_files(plugin)
    expect(on_stage.get_by_role("alert")).to_contain_text("That did not work.")
