"""What networks and servers do to a browser's WebSocket, one by one: real Chromium, real server, real faults."""

import contextlib
import itertools
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from client_page import BROKEN, HARNESS, SHORT, Client
from console import Complaints
from fakes.proxy import FaultProxy, Wire
from local_mode import wait_for
from own_dashboard import OwnDashboard, a_state
from repack_dashboard.settings import Settings


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A context without the embedded mode: each test here brings a server of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-US")
    yield context
    context.close()


@pytest.fixture
def client(page: Page, complaints: Complaints) -> Client:
    complaints.expect(BROKEN)
    return Client(page)


@pytest.fixture
def own(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OwnDashboard]:
    """A dashboard of this test alone, with the settings that it names."""
    with OwnDashboard(tmp_path, **getattr(request, "param", {})) as own:
        yield own


@pytest.fixture
def wire(own: OwnDashboard) -> Iterator[FaultProxy]:
    with FaultProxy(("127.0.0.1", own.port)) as proxy:
        yield proxy


def states(client: Client, name: str = "demo") -> list[int]:
    """Return the states of a task that the page heard of, in order."""
    events = [each for each in client.heard if each["type"] == "task.status" and each["name"] == name]
    return [int(each["data"]["status"]["sequence"]) for each in events]


def hears_state(client: Client, sequence: int) -> None:
    wait_for(lambda: sequence in states(client), what=f"state {sequence}", seconds=20, pause=0.05)


def test_a_server_that_ends_in_good_order_says_when_to_come_back_and_is_taken_up_anew(
    client: Client, own: OwnDashboard
):
    client.connect(own.url, uid=None, maxReconnectAttempts=1_000)
    own.end(signal.SIGTERM)
    client.wait_until("closes.length > 0")
    own.start()
    client.wait_for_status("connected")
    own.change(a_state(1))
    hears_state(client, 1)
    client.assert_nothing_lost()
    assert client.page.evaluate("closes[0]") == 1012
    assert "goaway" in [each["type"] for each in client.heard]
    assert client.page.evaluate("resyncs") == 1
    assert own.sockets() == 1


def test_a_server_that_is_killed_in_the_middle_of_a_stream_leaves_no_undeclared_hole(client: Client, own: OwnDashboard):
    client.connect(own.url, uid=None, maxReconnectAttempts=1_000)
    numbers = itertools.count(1)

    def stream() -> None:
        with contextlib.suppress(httpx.HTTPError):  # until the server is killed
            for number in numbers:
                own.change(a_state(number, padding=2000))

    streaming = threading.Thread(target=stream)
    streaming.start()
    client.wait_until("heard.length > 30")
    own.end(signal.SIGKILL)
    streaming.join()
    own.start()
    client.wait_for_status("connected", seconds=30)
    last = next(numbers)
    own.change(a_state(last))
    hears_state(client, last)
    client.assert_nothing_lost()
    heard = states(client)
    assert heard == sorted(set(heard)), "nothing twice and nothing out of order"
    assert (client.page.evaluate("resyncs"), own.sockets()) == (1, 1)


@pytest.mark.parametrize("own", [{"backlog_frames": 8, "backlog_bytes": 200_000}], indirect=True)
def test_a_browser_that_was_too_slow_comes_back_and_has_the_final_state(
    client: Client, own: OwnDashboard, wire: FaultProxy
):
    patient = {"heartbeatInterval": 60_000, "heartbeatTimeout": 60_000}
    client.connect(wire.url, uid=None, **patient)
    wire.become(Wire.STALL)
    for sequence in range(1, 1000):
        own.change(a_state(sequence, padding=60_000))
        if own.metric("repack_ws_slow_consumers_total"):
            break
    last = sequence + 1
    own.change(a_state(last, phase="Succeeded"))
    wire.become(Wire.PASS)
    client.wait_until("closes.length > 0", seconds=30)
    hears_state(client, last)
    client.assert_nothing_lost()
    assert states(client)[-1] == last
    assert client.page.evaluate("closes")[0] in {4008, 1006}, "the close frame may be lost behind what was not read"
    assert own.sockets() == 1


@pytest.mark.parametrize("own", [{"heartbeat_interval": 2.0, "heartbeat_timeout": 10.0}], indirect=True)
def test_a_proxy_that_holds_everything_back_for_a_second_costs_no_connection(
    client: Client, own: OwnDashboard, wire: FaultProxy
):
    client.connect(wire.url, uid=None, heartbeatInterval=500, heartbeatTimeout=6_000)
    wire.become(Wire.BUFFER)
    for sequence in range(1, 31):
        own.change(a_state(sequence))
    hears_state(client, 30)
    assert states(client) == list(range(1, 31))
    client.assert_nothing_lost()
    assert client.page.evaluate("[opens, closes.length]") == [1, 0]


def test_a_proxy_that_lets_no_hello_through_is_left_after_the_connect_timeout_and_tried_again(
    client: Client, own: OwnDashboard, wire: FaultProxy
):
    client.page.goto(f"{wire.url}/healthz")
    client.page.evaluate("async () => { await import('/client/taskws.js'); }")  # it must be there already
    wire.become(Wire.BLACKHOLE)
    client.page.evaluate(HARNESS, [None, SHORT | {"connectTimeout": 500}])
    client.wait_until("closes.length >= 2")
    assert set(client.page.evaluate("closes")) == {4000}
    wire.become(Wire.PASS)
    client.wait_for_status("connected")
    wait_for(lambda: own.sockets() == 1, what="one socket")


@pytest.mark.parametrize("own", [{"heartbeat_interval": 0.3, "heartbeat_timeout": 5.0}], indirect=True)
def test_a_proxy_that_cuts_idle_lines_finds_none_because_the_server_pings_twice_as_often(
    client: Client, own: OwnDashboard
):
    with FaultProxy(("127.0.0.1", own.port), idle_seconds=1.0) as cutting:
        client.connect(cutting.url, uid=None, heartbeatInterval=60_000, heartbeatTimeout=60_000)
        client.wait_until("heard.filter((each) => each.type === 'ping').length >= 12", seconds=20)
        assert client.page.evaluate("[opens, closes.length]") == [1, 0]
    assert Settings.model_fields["heartbeat_interval"].default <= 60 / 2  # of the proxies that cut at 60 s


def test_a_proxy_that_cuts_idle_lines_all_the_same_costs_no_event(client: Client, own: OwnDashboard):
    with FaultProxy(("127.0.0.1", own.port), idle_seconds=0.4) as cutting:
        client.connect(cutting.url, uid=None, heartbeatInterval=60_000, heartbeatTimeout=60_000)
        for sequence in range(1, 4):
            client.wait_until(f"closes.length >= {sequence}")
            own.change(a_state(sequence))
        hears_state(client, 3)
        client.assert_nothing_lost()
        assert states(client) == [1, 2, 3]
        assert client.page.evaluate("resyncs") == 0


REFUSED = """async ([tokens, options]) => {
  const { createReconnectingWebSocket } = await import("/client/taskws.js");
  window.closes = []; window.asked = [];
  window.live = createReconnectingWebSocket(null, { onClose: ({ code }) => window.closes.push(code) }, {
    ...options,
    getToken: (refresh) => { window.asked.push(refresh); return refresh ? tokens[1] : tokens[0]; },
  });
}"""


@pytest.mark.parametrize("own", [{"auth_mode": "kubernetes"}], indirect=True)
@pytest.mark.parametrize(
    ("tokens", "codes", "status"),
    [
        (["nobody", "nobody"], [4501, 4501], "error"),
        (["nobody", "root"], [4501], "connected"),
        (["eve", "eve"], [4503], "error"),
    ],
    ids=["4501", "4501-then-a-new-token", "4503"],
)
def test_a_browser_without_rights_stops_at_once_and_only_the_user_tries_again(
    client: Client, own: OwnDashboard, tokens: list[str], codes: list[int], status: str
):
    client.page.goto(f"{own.url}/healthz")
    client.page.evaluate(REFUSED, [tokens, SHORT])
    client.wait_for_status(status)
    assert client.page.evaluate("closes") == codes
    if status == "error":
        assert client.page.evaluate("live.state.heals") is False
        client.page.evaluate("['online', 'pageshow'].forEach((name) => dispatchEvent(new Event(name)))")
        assert client.page.evaluate("[closes.length, live.state.link.kind]") == [len(codes), "closed"]
        client.page.evaluate("live.retry()")
        client.wait_until(f"closes.length > {len(codes)}")


HIDE = """(state) => {
  Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def test_a_hidden_page_is_not_judged_and_asks_when_it_is_seen_again(
    client: Client, own: OwnDashboard, wire: FaultProxy
):
    client.connect(wire.url, uid=None)
    client.page.evaluate(HIDE, "hidden")
    wire.become(Wire.BLACKHOLE)
    # Longer than ping and answer may take together; the page itself says when.
    client.page.evaluate("() => new Promise((done) => setTimeout(done, 2500))")
    assert client.page.evaluate("[live.state.status, closes.length]") == ["connected", 0]
    client.page.evaluate(HIDE, "visible")
    client.wait_for_status("reconnecting", seconds=6)
    own.change(a_state(1))
    wire.become(Wire.PASS)
    hears_state(client, 1)
    client.assert_nothing_lost()


def test_a_burst_of_a_thousand_changes_leaves_the_page_usable_and_ends_in_the_last_state(
    page: Page, complaints: Complaints, own: OwnDashboard
):
    complaints.expect(BROKEN)
    page.goto(own.url)
    expect(page.get_by_test_id("connection")).to_have_text("Connected")
    page.evaluate("""() => {
      window.turns = 0;
      const turn = () => { window.turns += 1; setTimeout(turn, 0); };
      turn();
    }""")
    before = page.evaluate("turns")
    names = [f"burst-{number}" for number in range(20)]
    changes: list[dict[str, Any]] = [
        a_state(sequence, name=name, phase="Succeeded" if sequence == 50 else "Running")
        for sequence in range(1, 51)
        for name in names
    ]
    burst = threading.Thread(target=own.change, args=changes)
    burst.start()
    burst.join()
    rows = page.get_by_role("row").filter(has_text="burst-")
    expect(rows.filter(has_text="Succeeded")).to_have_count(len(names))
    assert page.evaluate("turns") > before + 10, "other things had their turn meanwhile"
    assert own.metric('repack_ws_messages_sent_total{type="task.status"}') >= 1_000


def test_the_indicator_says_each_change_in_words_to_those_who_do_not_see_it(
    page: Page, complaints: Complaints, own: OwnDashboard, wire: FaultProxy, context: BrowserContext
):
    complaints.expect(BROKEN)
    page.goto(wire.url)
    said = page.locator(".unseen[role=status]").first  # role `status` is a polite live region
    shown = page.get_by_test_id("connection")
    expect(shown).to_have_text("Connected")
    expect(said).to_have_text("Connected")
    wire.become(Wire.REFUSE)
    wire.cut()
    expect(shown).to_contain_text("Reconnecting")
    expect(said).to_contain_text("Reconnecting")
    wire.become(Wire.PASS)
    expect(shown).to_have_text("Connected")
    expect(said).to_have_text("Connected")
    context.set_offline(True)
    expect(shown).to_have_text("This computer is offline")
    context.set_offline(False)
    expect(shown).to_have_text("Connected")
