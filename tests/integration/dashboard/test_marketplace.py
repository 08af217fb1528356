"""Looking around in the Marketplace, against a server that speaks the real one's API, and fails as real ones do."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fakes.marketplace import FakeMarketplace, Published
from fakes.task_api import FakeTaskApi
from running_dashboard import Dashboard, a_dashboard

PLUGINS = [
    Published("langgenius", "openai", ("0.2.6", "0.2.7", "0.2.10"), "OpenAI", "Models of OpenAI", "model", 30_000),
    Published("langgenius", "tavily", ("0.1.0",), "Tavily", "Search the web", "tool", 9_000),
    Published("acme", "text_tools", ("1.0.0", "1.0.0-beta"), "Text tools", "Count the words", "tool", 12),
]


@pytest.fixture
def market() -> Iterator[FakeMarketplace]:
    with FakeMarketplace(list(PLUGINS)) as market:
        yield market


@pytest.fixture
async def shop(tmp_path: Path, market: FakeMarketplace) -> AsyncIterator[Dashboard]:
    """A dashboard whose users look around in `market`."""
    options = {"marketplace_url": market.base, "marketplace_timeout_seconds": 0.5}
    async with a_dashboard(tmp_path, api=FakeTaskApi(), **options) as running:
        yield running


async def names(shop: Dashboard, **query: str) -> list[str]:
    answer = await shop.http.get("/api/v1/marketplace/plugins", params=query)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


async def test_plugins_are_found_by_words_category_and_author(shop: Dashboard):
    assert await names(shop) == ["openai", "tavily", "text_tools"]
    assert await names(shop, q="web") == ["tavily"]
    assert await names(shop, category="tool") == ["tavily", "text_tools"]
    assert await names(shop, author="acme") == ["text_tools"]
    assert await names(shop, author="langgenius", q="search") == ["tavily"]


async def test_a_page_holds_as_many_as_asked_and_says_how_many_there_are(shop: Dashboard):
    answer = await shop.http.get("/api/v1/marketplace/plugins", params={"per_page": 2, "page": 2})
    assert answer.json()["total"] == 3
    assert [item["name"] for item in answer.json()["items"]] == ["text_tools"]


async def test_a_plugin_is_told_with_all_its_versions_the_newest_first(shop: Dashboard):
    openai = (await shop.http.get("/api/v1/marketplace/plugins/langgenius/openai")).json()
    assert openai["versions"] == ["0.2.10", "0.2.7", "0.2.6"]
    assert openai["plugin"]["latestVersion"] == "0.2.10"
    tools = (await shop.http.get("/api/v1/marketplace/plugins/acme/text_tools")).json()
    assert tools["versions"] == ["1.0.0", "1.0.0-beta"]


async def test_a_plugin_that_is_not_there_is_a_404(shop: Dashboard):
    answer = await shop.http.get("/api/v1/marketplace/plugins/acme/nothing")
    assert answer.status_code == 404


async def test_featured_are_those_of_the_first_collection_else_the_most_installed(
    shop: Dashboard, market: FakeMarketplace
):
    market.featured = ["text_tools"]
    found = (await shop.http.get("/api/v1/marketplace/featured")).json()["items"]
    assert [item["name"] for item in found] == ["text_tools"]


async def test_without_a_collection_the_most_installed_are_featured(shop: Dashboard):
    found = (await shop.http.get("/api/v1/marketplace/featured", params={"limit": 2})).json()["items"]
    assert [item["name"] for item in found] == ["openai", "tavily"]


async def test_authors_are_those_of_the_most_installed_plugins(shop: Dashboard):
    assert (await shop.http.get("/api/v1/marketplace/authors")).json() == {"authors": ["acme", "langgenius"]}


async def test_an_icon_is_passed_on_and_can_run_nothing(shop: Dashboard):
    answer = await shop.http.get("/api/v1/marketplace/plugins/langgenius/openai/icon")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_same_question_is_asked_once(shop: Dashboard, market: FakeMarketplace):
    await names(shop, q="web")
    await names(shop, q="web")
    assert market.asked == ["POST /api/v1/plugins/search/advanced"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("500", "HTTP 500"),
        ("503", "HTTP 503"),
        ("html", "text/html in place of JSON"),
        ("shape", "another shape"),
        ("slow", "did not answer within 0.5 s"),
        ("cut", "RemoteProtocolError"),
    ],
)
async def test_a_marketplace_that_fails_is_a_502_that_says_how_and_what_to_do(
    shop: Dashboard, market: FakeMarketplace, fault: str, words: str
):
    market.fault = fault
    answer = await shop.http.get("/api/v1/marketplace/plugins")
    assert answer.status_code == 502
    assert words in answer.json()["detail"]
    assert "author/name@version" in answer.json()["hint"]
    market.fault = None
    assert await names(shop) == ["openai", "tavily", "text_tools"], "a failure is not remembered"


async def test_switched_off_it_says_so_and_so_does_the_configuration(tmp_path: Path):
    async with a_dashboard(tmp_path, marketplace_url="") as closed:
        answer = await closed.http.get("/api/v1/marketplace/plugins")
        assert answer.status_code == 404
        assert "REPACK_DASHBOARD_MARKETPLACE_URL" in answer.json()["hint"]
        assert (await closed.http.get("/api/v1/config")).json()["marketplace"] is False


async def test_strangers_search_nothing(tmp_path: Path, market: FakeMarketplace):
    options = {"marketplace_url": market.base, "auth_mode": "token", "auth_token": "a-token-of-some-length"}
    async with a_dashboard(tmp_path, **options) as guarded:
        assert (await guarded.http.get("/api/v1/marketplace/plugins")).status_code == 401
        assert (await guarded.http.get("/api/v1/marketplace/plugins/langgenius/openai/icon")).status_code == 401
    assert market.asked == []
