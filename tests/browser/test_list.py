"""The list of tasks: found, ordered, chosen and acted upon, by mouse and by keyboard."""

import hashlib
import re
import zipfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from running_dashboard import SENDER
from staged import Stage, a_task_of, an_artifact, at, uid_of

CONTENT = b"PK\x03\x04" + bytes(range(256)) * 40


def three(stage: Stage) -> None:
    stage.put(
        a_task_of(1, plugin="acme/beta", phase="Failed", minutes_ago=3, status={"reason": "IndexUnreachable"}),
        a_task_of(2, plugin="acme/alpha", phase="Succeeded", minutes_ago=2),
        a_task_of(3, plugin="acme/gamma", phase="Running", minutes_ago=1),
    )


def test_filter_order_and_words_stand_in_the_address_and_come_back_with_it(on_stage: Page, stage: Stage):
    three(stage)
    on_stage.goto("/")
    expect(on_stage.locator("[data-uid]")).to_have_count(3)
    on_stage.get_by_role("button", name="Failed").click()
    on_stage.get_by_role("button", name="Succeeded").click()
    expect(on_stage.locator("[data-uid]")).to_have_count(2)
    on_stage.get_by_role("button", name="Plugin").click()
    expect(on_stage).to_have_url(f"{stage.url}/?phase=Failed,Succeeded&sort=name")
    expect(on_stage.locator("[data-uid] a[href^='/tasks/']")).to_have_text([re.compile("alpha"), re.compile("beta")])
    on_stage.go_back()
    on_stage.go_back()
    expect(on_stage.locator("[data-uid]")).to_have_count(1)
    on_stage.goto("/?q=index&phase=Failed")
    expect(on_stage.locator("[data-uid]")).to_have_count(1)
    expect(on_stage.get_by_role("button", name="Failed")).to_have_attribute("aria-pressed", "true")
    expect(on_stage.get_by_role("button", name="All")).to_contain_text("3")


def test_dry_runs_are_in_no_list_and_no_count_until_they_are_asked_for(on_stage: Page, stage: Stage):
    three(stage)
    stage.put(a_task_of(4, plugin="acme/planned", spec={"dryRun": True}, status={"artifacts": []}))
    on_stage.goto("/")
    expect(on_stage.get_by_role("button", name="All")).to_contain_text("3")
    expect(on_stage.get_by_text("acme/planned")).to_have_count(0)
    on_stage.get_by_role("button", name="Dry runs").click()
    expect(on_stage.get_by_text("acme/planned")).to_be_visible()
    expect(on_stage.locator("[data-uid]")).to_have_count(1)


def test_rows_do_not_move_under_the_pointer(on_stage: Page, stage: Stage):
    three(stage)
    on_stage.goto("/")
    row = on_stage.locator("[data-uid]").first
    expect(row).to_contain_text("gamma")
    row.hover()
    stage.put(a_task_of(9, plugin="acme/newest", phase="Pending"))
    show = on_stage.get_by_role("button", name="1 new task")
    expect(show).to_be_visible()
    expect(on_stage.locator("[data-uid]").first).to_contain_text("gamma")
    show.click()
    expect(on_stage.locator("[data-uid]").first).to_contain_text("newest")


def test_a_queued_row_says_its_place_and_why(on_stage: Page, stage: Stage):
    waits = {"type": "Admitted", "status": "False", "reason": "QueueFull", "lastTransitionTime": at(),
             "message": "Position 3 in the queue: all 8 slots are in use."}  # fmt: skip
    stage.put(a_task_of(1, plugin="acme/beta", phase="Queued", status={"conditions": [waits]}))
    on_stage.goto("/")
    row = on_stage.locator("[data-uid]").first
    expect(row).to_contain_text("Position 3 in the queue: all 8 slots are in use.")
    on_stage.get_by_role("button", name="中文").click()
    expect(row).to_contain_text("排队第 3 位：8 个槽位均已占用。")


def test_ten_thousand_tasks_are_a_handful_of_rows_and_the_last_one_is_reached(on_stage: Page, stage: Stage):
    stage.put(*(a_task_of(n, plugin=f"acme/p{n}", minutes_ago=n) for n in range(10_000)))
    on_stage.goto("/")
    expect(on_stage.get_by_role("button", name="All")).to_contain_text("10,000", timeout=30_000)
    assert on_stage.locator("[data-uid]").count() < 60
    on_stage.keyboard.press("End")
    expect(on_stage.get_by_role("link", name="acme/p9999")).to_be_in_viewport()
    on_stage.get_by_role("searchbox").fill("p4321")
    expect(on_stage.get_by_role("link", name="acme/p4321")).to_be_in_viewport()
    stage.clear()


def test_a_range_is_chosen_with_shift_and_all_that_match_with_one_box(on_stage: Page, stage: Stage):
    stage.put(*(a_task_of(n, plugin=f"acme/p{n}", minutes_ago=n) for n in range(30)))
    on_stage.goto("/")
    boxes = on_stage.locator("[data-uid] input[type=checkbox]")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    bar = on_stage.get_by_role("region", name="Selected tasks")
    expect(bar).to_contain_text("4 selected")
    on_stage.get_by_role("checkbox", name="Select all 30 tasks that match").click()
    expect(bar).to_contain_text("30 selected")
    bar.get_by_role("button", name="Clear selection").click()
    expect(bar).to_have_count(0)


def test_a_selection_stands_in_the_address_and_comes_back_with_it(on_stage: Page, stage: Stage):
    three(stage)
    on_stage.goto("/?phase=Failed,Succeeded")
    on_stage.get_by_role("checkbox", name="Select beta-1-0-0").click()
    on_stage.get_by_role("checkbox", name="Select alpha-1-0-0").click()
    expect(on_stage).to_have_url(re.compile(rf"phase=Failed,Succeeded&sel={uid_of(1)},{uid_of(2)}$"))
    bar = on_stage.get_by_role("region", name="Selected tasks")
    expect(bar).to_contain_text("2 selected")
    on_stage.reload()
    expect(bar).to_contain_text("2 selected")
    expect(on_stage.get_by_role("checkbox", name="Select beta-1-0-0")).to_be_checked()
    bar.get_by_role("button", name="Clear selection").click()
    expect(on_stage).to_have_url(f"{stage.url}/?phase=Failed,Succeeded")
    on_stage.goto("/?sel=all")
    expect(bar).to_contain_text("3 selected")
    on_stage.get_by_role("button", name="Failed").click()
    expect(bar).to_have_count(0)


def test_the_list_is_as_it_was_left_when_one_comes_back(on_stage: Page, stage: Stage):
    three(stage)
    on_stage.goto("/?phase=Failed,Succeeded&sort=name")
    on_stage.get_by_role("checkbox", name="Select beta-1-0-0").click()
    left = on_stage.url
    on_stage.get_by_role("link", name="acme/alpha").click()
    expect(on_stage.get_by_role("heading", level=1)).to_contain_text("acme/alpha")
    on_stage.get_by_role("link", name="Go to the tasks").click()
    expect(on_stage).to_have_url(left)
    expect(on_stage.get_by_role("region", name="Selected tasks")).to_contain_text("1 selected")
    on_stage.get_by_role("link", name="New task").click()
    expect(on_stage.get_by_role("dialog")).to_be_visible()
    on_stage.keyboard.press("Escape")
    expect(on_stage).to_have_url(left)
    expect(on_stage.locator("[data-uid]")).to_have_count(2)


def test_what_fails_of_many_is_listed_and_the_rest_is_done(on_stage: Page, stage: Stage, complaints: Any):
    complaints.expect("status of 409")
    three(stage)
    stage.put(a_task_of(4, plugin="acme/delta", phase="Running", minutes_ago=1))
    on_stage.goto("/?phase=Running")
    expect(on_stage.locator("[data-uid]")).to_have_count(2)
    # Somebody else has replaced one of them meanwhile: that is another task of the same name.
    stage.api.objects["default", "delta-1-0-0"]["metadata"]["uid"] = "another"
    on_stage.get_by_role("checkbox", name="Select all 2 tasks that match").click()
    on_stage.get_by_role("button", name="Cancel 2").click()
    on_stage.get_by_role("dialog").get_by_role("button", name="Cancel 2").click()
    failures = on_stage.get_by_role("dialog", name="This did not work for 1 task")
    expect(failures).to_contain_text("delta-1-0-0")
    assert stage.api.objects["default", "gamma-1-0-0"]["spec"]["desiredState"] == "Cancelled"


def test_deleting_many_says_how_many_files_go_and_does_it(on_stage: Page, stage: Stage):
    three(stage)
    on_stage.goto("/")
    on_stage.get_by_role("checkbox", name="Select all 3 tasks that match").click()
    on_stage.get_by_role("button", name="Delete 3").click()
    dialog = on_stage.get_by_role("dialog")
    expect(dialog).to_contain_text("1 package is deleted with them (12.4 MB)")
    dialog.get_by_role("button", name="Delete 3").click()
    expect(on_stage.get_by_text("No tasks yet")).to_be_visible()
    assert stage.api.objects == {}


def test_several_packages_come_as_one_archive(on_stage: Page, stage: Stage, tmp_path: Path):
    for number in (1, 2):
        uid = uid_of(number)
        stage.put(a_task_of(number, plugin=f"acme/p{number}", status={"artifacts": []}))
        content = CONTENT + bytes([number])
        name = f"p{number}.difypkg"
        stage.run(
            stage.dashboard.http.put(
                f"/api/v1/ingest/artifacts/{uid}/1/amd64/{name}",
                content=content,
                headers=SENDER | {"X-Content-SHA256": hashlib.sha256(content).hexdigest()},
            )
        )
        artifact = an_artifact(uid, "acme", f"p{number}", "1.0.0") | {"name": name}
        stage.put(a_task_of(number, plugin=f"acme/p{number}", status={"artifacts": [artifact], "sequence": 6}))
    on_stage.goto("/")
    on_stage.get_by_role("checkbox", name="Select all 2 tasks that match").click()
    with on_stage.expect_download() as waiting:
        on_stage.get_by_role("button", name="Download 2").click()
    target = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(target)
    with zipfile.ZipFile(target) as archive:
        assert sorted(archive.namelist()) == ["SHA256SUMS", "p1.difypkg", "p2.difypkg"]
        assert archive.read("p1.difypkg") == CONTENT + b"\x01"


def test_keys_find_move_choose_open_and_go_back(on_stage: Page, stage: Stage):
    three(stage)
    on_stage.goto("/")
    expect(on_stage.locator("[data-uid]")).to_have_count(3)
    on_stage.keyboard.press("j")
    expect(on_stage.get_by_role("link", name="acme/gamma")).to_be_focused()
    on_stage.keyboard.press("j")
    expect(on_stage.get_by_role("link", name="acme/alpha")).to_be_focused()
    on_stage.keyboard.press("x")
    expect(on_stage.get_by_role("region", name="Selected tasks")).to_contain_text("1 selected")
    on_stage.keyboard.press("k")
    on_stage.keyboard.press("Enter")
    expect(on_stage.get_by_role("heading", level=1)).to_contain_text("acme/gamma")
    on_stage.keyboard.press("Escape")
    expect(on_stage.locator("[data-uid]")).to_have_count(3)
    on_stage.keyboard.press("/")
    expect(on_stage.get_by_role("searchbox", name="Search tasks")).to_be_focused()
    on_stage.keyboard.type("n")
    expect(on_stage.get_by_role("dialog")).to_have_count(0)
    on_stage.get_by_role("searchbox").blur()
    on_stage.keyboard.press("?")
    expect(on_stage.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    on_stage.keyboard.press("Escape")
    on_stage.keyboard.press("n")
    expect(on_stage.get_by_role("dialog", name="New task")).to_be_visible()


def test_a_burst_of_a_thousand_messages_is_few_renders(on_stage: Page, stage: Stage):
    stage.put(*(a_task_of(n, plugin=f"acme/p{n}", phase="Running", minutes_ago=n) for n in range(200)))
    on_stage.goto("/")
    expect(on_stage.get_by_role("button", name="All")).to_contain_text("200")
    on_stage.evaluate(
        """() => {
          window.changes = 0;
          const body = document.querySelector('[role=table] > [role=rowgroup]:last-child');
          new MutationObserver(() => { window.changes += 1; }).observe(body, {subtree: true, characterData: true,
            childList: true, attributes: true});
        }"""
    )
    again = [
        a_task_of(n, plugin=f"acme/p{n}", phase="Failed", minutes_ago=n, status={"sequence": 6, "reason": "DiskFull"})
        for n in range(200)
    ]
    stage.put(*again)
    expect(on_stage.locator("[data-uid]").first).to_contain_text("Failed")
    assert on_stage.evaluate("window.changes") < 100
