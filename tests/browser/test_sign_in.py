"""Signing in: nothing is shown to strangers, and the token goes where it may and nowhere else."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from console import Complaints, watch
from fakes.marketplace import FakeMarketplace
from fakes.proxy import FaultProxy
from fakes.reviews import Known, ReviewingApi
from local_mode import wait_for
from running_dashboard import SENDER, from_worker, logged
from staged import Stage, a_task_of, an_artifact, staged, uid_of

TOKEN = "a-token-that-only-the-test-knows"


@pytest.fixture(scope="module")
def guarded(market: FakeMarketplace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A staged dashboard that asks for a token."""
    options = {"auth_mode": "token", "auth_token": TOKEN, "marketplace_url": market.base, "auth_recheck_seconds": 0.3}
    with staged(tmp_path_factory.mktemp("guarded"), **options) as stage:
        stage.put(a_task_of(1, plugin="acme/secret"))
        yield stage


@pytest.fixture
def stranger(browser: Browser, guarded: Stage, complaints: Complaints) -> Iterator[Page]:
    context = browser.new_context(base_url=guarded.url, locale="en-US", accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(15_000)
    watch(page, complaints)
    yield page
    context.close()
    assert complaints.unexpected() == []


def sign_in(page: Page, token: str) -> None:
    page.get_by_role("textbox", name="Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_a_stranger_sees_a_panel_and_no_task(stranger: Page):
    stranger.goto("/tasks/default/secret-1-0-0")
    expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(stranger.get_by_text("acme/secret")).to_have_count(0)


def test_a_wrong_token_is_refused_and_the_right_one_goes_in_no_address(stranger: Page, guarded: Stage):
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    stranger.on("request", note)
    stranger.goto("/")
    sign_in(stranger, "not-the-right-one-at-all")
    expect(stranger.get_by_role("alert").filter(has_text="The token is not valid")).to_be_visible()
    sign_in(stranger, TOKEN)
    expect(stranger.get_by_role("link", name="acme/secret")).to_be_visible()
    expect(stranger.get_by_test_id("connection")).to_have_text("Connected")
    assert not [url for url in asked if TOKEN in url]
    assert stranger.evaluate("Object.values(sessionStorage)") == [TOKEN]
    assert TOKEN not in stranger.evaluate("JSON.stringify(localStorage) + document.cookie")
    stranger.reload()
    expect(stranger.get_by_role("link", name="acme/secret")).to_be_visible()
    assert guarded.dashboard.services.settings.auth_mode == "token"


def test_what_a_signed_in_user_asks_for_carries_the_token(stranger: Page, guarded: Stage, tmp_path: Path):
    stranger.goto("/packages")
    sign_in(stranger, TOKEN)
    expect(stranger.get_by_role("region", name="Storage")).to_contain_text("Packages")
    stranger.goto("/new")
    stranger.get_by_role("dialog").locator("label", has_text="Marketplace").click()
    expect(stranger.get_by_role("group", name="Plugins").locator("img").first).to_be_visible()
    stranger.get_by_role("dialog").locator("label", has_text="Paste links").click()
    stranger.get_by_role("textbox", name="Links to plugins").fill("acme/mine@1.0.0")
    stranger.keyboard.press("Enter")
    stranger.wait_for_url("**/tasks/default/mine-1-0-0")
    uid = guarded.api.objects["default", "mine-1-0-0"]["metadata"]["uid"]
    guarded.tell(from_worker(uid, logged(1, 2)))
    with stranger.expect_download() as waiting:
        stranger.get_by_role("link", name="Download the log").click()
    assert waiting.value.suggested_filename == "mine-1-0-0-1.log"


def test_a_signed_in_users_download_is_resumed_by_the_browser_when_the_line_is_cut(
    browser: Browser, guarded: Stage, complaints: Complaints
):
    content = b"PK\x03\x04" + bytes(range(256)) * 120_000
    uid, name = uid_of(77), "acme-heavy_1.0.0-linux-amd64-offline.difypkg"
    guarded.put(a_task_of(77, plugin="acme/heavy", status={"artifacts": []}))
    headers = SENDER | {"X-Content-SHA256": hashlib.sha256(content).hexdigest()}
    path = f"/api/v1/ingest/artifacts/{uid}/1/amd64/{name}"
    guarded.run(guarded.dashboard.http.put(path, content=content, headers=headers))
    artifact = an_artifact(uid, "acme", "heavy", "1.0.0", size=len(content))
    guarded.put(a_task_of(77, plugin="acme/heavy", status={"artifacts": [artifact], "sequence": 6}))
    address = urlsplit(guarded.url)
    with FaultProxy((str(address.hostname), int(address.port or 80))) as proxy:
        context = browser.new_context(base_url=proxy.url, locale="en-US", accept_downloads=True)
        page = context.new_page()
        complaints.expect("WebSocket connection|net::ERR|Failed to load resource")
        watch(page, complaints)
        page.goto("/tasks/default/heavy-1-0-0")
        sign_in(page, TOKEN)
        link = page.get_by_role("link", name="Download", exact=True)
        expect(link).to_be_visible()
        proxy.limit(len(content) // 3)
        with page.expect_download() as waiting:
            link.click()
        wait_for(lambda: proxy.was_cut, what="the line to be cut in the middle of the file")
        assert Path(waiting.value.path()).read_bytes() == content
        assert TOKEN not in page.evaluate("document.cookie")
        context.close()
    assert complaints.unexpected() == []


def test_signing_out_disconnects_and_shows_nothing_any_more(stranger: Page):
    stranger.goto("/")
    sign_in(stranger, TOKEN)
    expect(stranger.get_by_role("link", name="acme/secret")).to_be_visible()
    stranger.get_by_role("button", name="Sign out").click()
    expect(stranger.get_by_test_id("connection")).to_have_text("Disconnected")
    expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(stranger.get_by_text("acme/secret")).to_have_count(0)
    assert stranger.evaluate("sessionStorage.length") == 0
    sign_in(stranger, TOKEN)
    expect(stranger.get_by_test_id("connection")).to_have_text("Connected")
    expect(stranger.get_by_role("link", name="acme/secret")).to_be_visible()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Stage, ReviewingApi]]:
    """A staged dashboard that takes the tokens of a cluster and looks at rights three times a second."""
    held: list[ReviewingApi] = []

    def reviewing(api: object) -> ReviewingApi:
        held.append(ReviewingApi(api))
        return held[0]

    options = {"auth_mode": "kubernetes", "auth_cache_seconds": 0, "auth_recheck_seconds": 0.3}
    with staged(tmp_path, before=reviewing, **options) as stage:
        held[0].allow("alice", "list", namespace="default")
        stage.put(a_task_of(1, plugin="acme/secret"))
        yield stage, held[0]


def a_token(ends_in_seconds: float) -> str:
    """A token that says when it ends, as those of a cluster do."""
    claims = json.dumps({"exp": time.time() + ends_in_seconds}).encode()
    return f"x.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.x"


def test_rights_that_are_taken_away_end_the_view_with_a_sentence(browser: Browser, cluster: tuple[Stage, ReviewingApi]):
    stage, reviews = cluster
    token = a_token(3600)
    reviews.tokens[token] = Known("alice")
    page = browser.new_page(base_url=stage.url, locale="en-US")
    page.goto("/")
    expect(page.get_by_text("kubectl create token")).to_be_visible()
    sign_in(page, token)
    expect(page.get_by_role("link", name="acme/secret")).to_be_visible()
    reviews.rights.clear()
    expect(page.get_by_test_id("connection")).to_have_text("No access")
    expect(page.get_by_test_id("stale")).to_contain_text("You have no right to see these tasks.")
    page.close()


def test_a_token_that_ends_soon_is_renewed_without_a_break(browser: Browser, cluster: tuple[Stage, ReviewingApi]):
    stage, reviews = cluster
    first, second = a_token(20), a_token(3600)
    reviews.tokens |= {first: Known("alice"), second: Known("alice")}
    page = browser.new_page(base_url=stage.url, locale="en-US")
    sockets: list[str] = []
    page.goto("/")
    page.on("websocket", lambda socket: sockets.append(socket.url))
    sign_in(page, first)
    expect(page.get_by_role("link", name="acme/secret")).to_be_visible()
    before = len(sockets)
    banner = page.get_by_test_id("token-expiring")
    expect(banner).to_be_visible()
    banner.get_by_role("textbox", name="Token").fill(second)
    banner.get_by_role("button", name="Take the new token").click()
    expect(banner).to_have_count(0)
    expect(page.get_by_test_id("connection")).to_have_text("Connected")
    assert page.evaluate("Object.values(sessionStorage)") == [second]
    assert len(sockets) == before, "the connection went on"
    page.close()
