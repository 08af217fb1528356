"""The reconnecting WebSocket for use alone (`/client/taskws.js`): real Chromium, real server, a network that breaks."""

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from client_page import BROKEN, HARNESS, SHORT, Client
from console import Complaints
from fakes.proxy import FaultProxy, Wire
from local_mode import RunningMode, wait_for
from requirements import chromium


@pytest.fixture
def client(page: Page, complaints: Complaints) -> Client:
    complaints.expect(BROKEN)
    return Client(page)


@pytest.fixture
def sockets(mode: RunningMode) -> Callable[[str], int]:
    """How many sockets the server holds, by the kind of their channel."""

    def count(kind: str) -> int:
        with mode.client() as http:
            lines = http.get("/metrics").text.splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if f'ws_connections{{channel_kind="{kind}"}}' in line)

    return count


def resting(mode: RunningMode, name: str) -> str:
    """Make a task that waits for somebody to resume it, and return its uid."""
    spec = {
        "source": {"type": "URL", "url": {"url": "http://127.0.0.1:9/nothing.difypkg"}},
        "targets": [{"arch": "amd64"}],
        "desiredState": "Suspended",
    }
    with mode.client() as http:
        answer = http.post("/api/v1/tasks", json={"name": name, "spec": spec})
    return str(answer.raise_for_status().json()["uid"])


@pytest.fixture(scope="module")
def uid(mode: RunningMode) -> str:
    return resting(mode, "client-rests")


def one_socket(sockets: Callable[[str], int], kind: str = "task") -> None:
    wait_for(lambda: sockets(kind) == 1, what=f"exactly one socket; there are {sockets(kind)}", seconds=20)


def test_a_dead_line_is_noticed_within_the_limit_and_nothing_is_lost(
    client: Client, proxy: FaultProxy, mode: RunningMode, sockets: Callable[[str], int]
):
    client.connect(proxy.url, uid=None)
    proxy.become(Wire.BLACKHOLE)
    # 500 ms until the ping, 1,000 ms for its answer, and 500 ms for a busy machine.
    client.wait_for_status("reconnecting", seconds=2.0)
    assert client.page.evaluate("closes") == [4000]
    resting(mode, "client-blackhole")
    proxy.become(Wire.PASS)
    client.wait_for_status("connected").hears_of("client-blackhole")
    client.assert_nothing_lost()
    assert client.page.evaluate("resyncs") == 0
    one_socket(sockets, "tasks")


def test_a_cut_line_is_taken_up_where_it_ended(client: Client, proxy: FaultProxy, mode: RunningMode):
    client.connect(proxy.url, uid=None)
    resting(mode, "client-cut-1")
    client.hears_of("client-cut-1")
    proxy.become(Wire.REFUSE)
    proxy.cut()
    client.wait_for_status("reconnecting")
    resting(mode, "client-cut-2")
    proxy.become(Wire.PASS)
    client.wait_for_status("connected").hears_of("client-cut-2")
    client.assert_nothing_lost()
    hellos = [each for each in client.heard if each["type"] == "hello"]
    assert [each["recovered"] for each in hellos] == [False, True]
    assert len([each for each in client.heard if each["type"] == "snapshot"]) == 1


def test_a_storm_of_resets_ends_with_one_socket(
    client: Client, proxy: FaultProxy, mode: RunningMode, sockets: Callable[[str], int]
):
    client.connect(proxy.url, uid=None)
    for gust in range(9):  # ten attempts without a stable connection would be an error
        opened = client.page.evaluate("opens")
        proxy.reset()
        client.wait_until(f"opens > {opened}")
        if gust % 3 == 0:
            resting(mode, f"client-storm-{gust}")
    client.wait_for_status("connected").hears_of("client-storm-6")
    client.assert_nothing_lost()
    assert set(client.page.evaluate("closes")) == {1006}
    one_socket(sockets, "tasks")


def test_five_times_offline_and_back_leave_exactly_one_socket(
    client: Client, context: BrowserContext, proxy: FaultProxy, uid: str, sockets: Callable[[str], int]
):
    client.connect(proxy.url, uid=uid)
    for _ in range(5):
        context.set_offline(True)
        client.wait_for_status("reconnecting")
        context.set_offline(False)
        client.wait_for_status("connected")
    one_socket(sockets)


def test_a_server_that_is_killed_and_comes_back_says_that_it_starts_anew(
    client: Client, mode: RunningMode, sockets: Callable[[str], int]
):
    client.connect(mode.page_url, uid=None, maxReconnectAttempts=1_000)
    mode.kill("dashboard")
    client.wait_for_status("reconnecting")
    client.wait_for_status("connected", seconds=60)
    assert client.page.evaluate("resyncs") == 1
    resting(mode, "client-killed")
    client.hears_of("client-killed").assert_nothing_lost()
    one_socket(sockets, "tasks")


def test_a_frozen_page_goes_on_when_it_thaws(
    client: Client, context: BrowserContext, proxy: FaultProxy, mode: RunningMode, sockets: Callable[[str], int]
):
    client.connect(proxy.url, uid=None)
    devtools = context.new_cdp_session(client.page)
    devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    resting(mode, "client-frozen")
    time.sleep(2.5)  # there is nothing to wait for: longer than the heartbeat allows, in a page that does nothing
    devtools.send("Page.setWebLifecycleState", {"state": "active"})
    client.hears_of("client-frozen").wait_for_status("connected").assert_nothing_lost()
    one_socket(sockets, "tasks")


@pytest.fixture
def keeping_page(browser: Browser, mode: RunningMode) -> Iterator[Page]:
    """A page of a browser that keeps pages for "back", as browsers do when no test tells them otherwise."""
    keeping = browser.browser_type.launch(
        executable_path=chromium(), args=["--no-sandbox"], ignore_default_args=["--disable-back-forward-cache"]
    )
    yield keeping.new_page(base_url=mode.page_url)
    keeping.close()


def test_a_page_that_is_kept_for_back_lets_its_socket_go_and_comes_back_with_another(
    keeping_page: Page, mode: RunningMode, sockets: Callable[[str], int]
):
    client = Client(keeping_page).connect(mode.page_url, uid=None)
    keeping_page.evaluate("window.isTheSamePage = true")
    keeping_page.goto("/client/taskws.d.ts")
    wait_for(lambda: sockets("tasks") == 0, what="the kept page to let its socket go")
    resting(mode, "client-kept")
    keeping_page.go_back(wait_until="commit")  # a page that was kept does not load
    assert keeping_page.evaluate("window.isTheSamePage") is True, "the browser did not keep the page"
    client.wait_for_status("connected").hears_of("client-kept").assert_nothing_lost()
    assert keeping_page.evaluate("closes") == [1000]
    one_socket(sockets, "tasks")


def test_two_tabs_have_a_socket_each_and_the_closed_one_takes_its_own_along(
    client: Client, context: BrowserContext, proxy: FaultProxy, uid: str, sockets: Callable[[str], int]
):
    client.connect(proxy.url, uid=uid)
    other = Client(context.new_page()).connect(proxy.url, uid=uid)
    wait_for(lambda: sockets("task") == 2, what="two sockets")
    other.page.close()
    one_socket(sockets)
    assert client.page.evaluate("live.state.generation") == 1


def test_a_task_that_nobody_knows_is_an_error_that_only_the_user_tries_again(client: Client, mode: RunningMode):
    client.page.goto(f"{mode.page_url}/healthz")
    client.page.evaluate(HARNESS, ["0-no-such-task", SHORT])
    client.wait_for_status("error")
    assert client.page.evaluate("[live.state.lastClose.code, live.state.heals]") == [4504, False]
    client.page.evaluate("dispatchEvent(new Event('online'))")
    assert client.page.evaluate("live.state.link.kind") == "closed"
    client.page.evaluate("live.retry()")
    client.wait_until("closes.length === 2")


def test_dispose_leaves_no_socket(client: Client, proxy: FaultProxy, uid: str, sockets: Callable[[str], int]):
    client.connect(proxy.url, uid=uid)
    one_socket(sockets)
    client.page.evaluate("live.dispose()")
    wait_for(lambda: sockets("task") == 0, what="no socket")


def test_the_example_shows_tasks_as_they_change(page: Page, mode: RunningMode):
    page.goto("/client/example.html")
    expect(page.locator("#connection")).to_have_text("connected")
    made = resting(mode, "client-example")
    row = page.get_by_role("listitem").filter(has_text="client-example")
    expect(row).to_have_text("default/client-example: Suspended")
    page.goto(f"/client/example.html?task={made}")
    expect(page.get_by_role("listitem")).to_have_text(["default/client-example: Suspended"])
    with mode.client() as http:
        http.delete(f"/api/v1/tasks/{made}").raise_for_status()
    expect(page.get_by_role("listitem")).to_have_count(0)
