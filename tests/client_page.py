"""A page that has nothing in it but the module of `/client/taskws.js`, driven from a test."""

from typing import Any

from playwright.sync_api import Page

from local_mode import wait_for

BROKEN = r"WebSocket connection|net::ERR|Failed to load resource"
# Short, so that a test does not wait; in proportion to the defaults.
SHORT = {
    "reconnectInterval": 200, "maxReconnectInterval": 1_000, "heartbeatInterval": 500, "heartbeatTimeout": 1_000,
    "connectTimeout": 1_500,
}  # fmt: skip
HARNESS = """async ([uid, options]) => {
  const { createReconnectingWebSocket } = await import("/client/taskws.js");
  window.heard = []; window.closes = []; window.resyncs = 0; window.opens = 0;
  window.live = createReconnectingWebSocket(uid, {
    onOpen: () => { window.opens += 1; },
    onMessage: (message) => window.heard.push(message),
    onClose: ({ code }) => window.closes.push(code),
    onResync: () => { window.resyncs += 1; },
  }, options);
}"""


class Client:
    """A page that has nothing but the module in it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def connect(self, address: str, *, uid: str | None, **options: Any) -> "Client":
        self.page.goto(f"{address}/healthz")
        self.page.evaluate(HARNESS, [uid, SHORT | options])
        # Before the snapshot there is no position, and nothing to go on from.
        return self.wait_for_status("connected").wait_until("heard.some((each) => each.type === 'snapshot')")

    def wait_for_status(self, status: str, *, seconds: float = 20) -> "Client":
        return self.wait_until(f"live.state.status === '{status}'", seconds=seconds)

    def wait_until(self, condition: str, *, seconds: float = 20) -> "Client":
        # Asked from here: to wait in the page needs `eval`, which the server's policy forbids.
        wait_for(lambda: self.page.evaluate(condition), what=condition, seconds=seconds, pause=0.02)
        return self

    def hears_of(self, name: str) -> "Client":
        try:
            return self.wait_until(f"heard.some((each) => each.name === '{name}' && each.type === 'task.status')")
        except AssertionError as error:
            said = [(each["type"], each.get("name"), each.get("gseq"), each.get("recovered")) for each in self.heard]
            raise AssertionError(f"{error}; heard {said}, {self.page.evaluate('live.state')}") from None

    @property
    def heard(self) -> list[dict[str, Any]]:
        return list(self.page.evaluate("heard"))

    def assert_nothing_lost(self) -> None:
        """Every number over all tasks follows the one before, or a snapshot set it anew."""
        last: int | None = None
        for message in self.heard:
            if message["type"] == "snapshot" and message["data"] and message.get("task_id") is None:
                last = int(message["gseq"])
            elif "gseq" in message and last is not None:
                assert message["gseq"] == last + 1 + (message.get("coalesced") or 0), message
                last = int(message["gseq"])
