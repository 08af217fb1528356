"""Signing in: nothing is shown to strangers, and the token goes where it may and nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from console import Complaints, watch
from fakes.marketplace import FakeMarketplace
from running_dashboard import from_worker, logged
from staged import Stage, a_task_of, staged

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
