"""The page is live, or honest about it: each break of the connection is made for real."""

import os
import signal

from playwright.sync_api import Page, expect

from console import Complaints
from fakes.proxy import FaultProxy, Wire
from local_mode import RunningMode, wait_for

BROKEN = r"WebSocket connection|net::ERR|Failed to load resource"


def test_a_broken_connection_is_shown_and_heals_by_itself(page: Page, proxy: FaultProxy, complaints: Complaints):
    complaints.expect(BROKEN)
    page.goto(proxy.url)
    expect(page.get_by_test_id("connection")).to_have_text("Connected")
    proxy.become(Wire.REFUSE)
    proxy.cut()
    expect(page.get_by_test_id("connection")).to_contain_text("Reconnecting")
    expect(page.get_by_test_id("stale")).to_contain_text("Shown as of")
    proxy.become(Wire.PASS)
    expect(page.get_by_test_id("connection")).to_have_text("Connected", timeout=30_000)
    expect(page.get_by_test_id("stale")).to_have_count(0)


def test_before_the_first_answer_the_page_says_that_it_connects(page: Page, proxy: FaultProxy):
    page.goto(proxy.url)
    expect(page.get_by_test_id("connection")).to_have_text("Connected")
    # The next socket opens into silence: nothing is refused, and nothing is answered.
    page.route_web_socket("**/ws/tasks**", lambda _: None)
    page.reload()
    expect(page.get_by_test_id("connection")).to_have_text("Connecting…")
    expect(page.locator("[aria-busy=true]")).to_be_visible()


def test_a_server_that_stays_away_turns_the_indicator_red_and_retry_brings_it_back(
    page: Page, proxy: FaultProxy, complaints: Complaints
):
    complaints.expect(BROKEN)
    page.clock.install()
    page.goto(proxy.url)
    expect(page.get_by_test_id("connection")).to_have_text("Connected")
    proxy.become(Wire.REFUSE)
    proxy.cut()
    indicator = page.get_by_test_id("connection")
    expect(indicator).to_contain_text("Reconnecting")

    def is_red() -> bool:
        page.clock.run_for(5_000)
        return "Cannot reach the server" in (indicator.text_content() or "")

    wait_for(is_red, what="the indicator to turn red", seconds=90)
    proxy.become(Wire.PASS)
    page.get_by_role("button", name="Retry", exact=True).click()
    wait_for(lambda: page.clock.run_for(200) or indicator.text_content() == "Connected", what="Connected", seconds=30)


def test_what_happened_while_the_connection_was_broken_is_there_afterwards(
    page: Page, proxy: FaultProxy, mode: RunningMode, plugin_url: str, complaints: Complaints
):
    complaints.expect(BROKEN)
    page.goto(proxy.url)
    expect(page.get_by_test_id("connection")).to_have_text("Connected")
    proxy.become(Wire.REFUSE)
    proxy.cut()
    mode.create_task("made-meanwhile", plugin_url)
    mode.wait_for_phase("made-meanwhile", "Succeeded")
    expect(page.get_by_text("made-meanwhile")).to_have_count(0)
    proxy.become(Wire.PASS)
    row = page.get_by_role("row").filter(has_text="made-meanwhile")
    expect(row).to_contain_text("Succeeded", timeout=30_000)


def test_the_dashboard_killed_in_the_middle_is_not_noticed_at_the_end(
    page: Page, mode: RunningMode, slow_plugin_url: str, complaints: Complaints
):
    complaints.expect(BROKEN)
    mode.create_task("server-killed", slow_plugin_url)
    page.goto("/tasks/default/server-killed")
    stage = page.get_by_role("listitem").filter(has_text="Download")
    expect(stage).to_contain_text("running", timeout=30_000)
    mode.kill("dashboard")
    expect(page.get_by_text("Enforced by the kernel")).to_be_visible(timeout=90_000)
    expect(page.get_by_test_id("connection")).to_have_text("Connected")
    expect(page.get_by_role("log")).to_contain_text("Published")


def test_an_operator_that_is_not_heard_is_said_and_tasks_stay(page: Page, mode: RunningMode):
    page.goto("/")
    expect(page.get_by_test_id("connection")).to_have_text("Connected")
    operator = mode.pid_of("operator")
    os.kill(operator, signal.SIGSTOP)
    try:
        expect(page.get_by_text("The operator has not been heard")).to_be_visible(timeout=25_000)
    finally:
        os.kill(operator, signal.SIGCONT)
    expect(page.get_by_text("The operator has not been heard")).to_have_count(0, timeout=20_000)
