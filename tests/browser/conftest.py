"""A real browser (the system's Chromium) on the real page of the real embedded mode."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

import scenes
from console import Complaints, watch
from fakes.index import FakeIndex, Fault, a_wheel
from fakes.marketplace import FakeMarketplace
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from fakes.proxy import FaultProxy
from local_mode import RunningMode, running_mode
from requirements import chromium, require
from staged import Stage, staged

ROOT = Path(__file__).resolve().parents[2]
WHEEL = a_wheel("tiny-sdk", "1.0", padding=20_000)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-default-apps", "--disable-quic",
]  # fmt: skip

expect.set_options(timeout=15_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(180))


def built() -> None:
    page = ROOT / "dashboard/server/src/repack_dashboard/static/index.html"
    require(page.exists(), "the page is not built; run `make setup`")


@pytest.fixture(scope="session")
def index() -> Iterator[FakeIndex]:
    with FakeIndex() as index:
        index.add(WHEEL)
        yield index


@pytest.fixture(scope="session")
def mode(index: FakeIndex, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMode]:
    """One embedded mode for all browser tests; each test makes tasks of its own."""
    built()
    with running_mode(tmp_path_factory.mktemp("mode") / "home", REPACK_INDEX_URL=index.url) as mode:
        yield mode


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser per module: while Playwright runs, its event loop lies in the way of every asyncio test."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def market() -> Iterator[FakeMarketplace]:
    """The Marketplace that users of the stage look around in."""
    with scenes.a_market() as market:
        yield market


@pytest.fixture(scope="module")
def stage(market: FakeMarketplace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A real dashboard before a fake cluster, for whatever a test wants to be the case."""
    built()
    settings = {"marketplace_url": market.base, "marketplace_timeout_seconds": 2.0, "targets": ["amd64", "arm64"]}
    with staged(tmp_path_factory.mktemp("stage"), **settings) as stage:
        yield stage


@pytest.fixture
def on_stage(browser: Browser, stage: Stage, complaints: Complaints) -> Iterator[Page]:
    """A page of the staged dashboard, whose console must stay silent. The stage is empty when the test begins."""
    stage.clear()
    context = browser.new_context(
        base_url=stage.url, viewport={"width": 1280, "height": 860}, locale="en-US", accept_downloads=True
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    watch(page, complaints)
    yield page
    context.close()
    assert complaints.unexpected() == []


@pytest.fixture
def plugin(index: FakeIndex, tmp_path: Path) -> Path:
    """A small plugin with a lock file, on the disk of the user."""
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT, uv__lock=a_lock(index, WHEEL))
    return a_package(tmp_path / "tiny.difypkg", files)


@pytest.fixture
def plugin_url(index: FakeIndex, plugin: Path) -> str:
    return index.add_file("tiny.difypkg", plugin.read_bytes())


@pytest.fixture
def slow_plugin_url(index: FakeIndex, tmp_path: Path) -> str:
    """Address of a plugin whose one wheel nobody has in a cache and that takes several seconds to download."""
    wheel = a_wheel(f"slow-{tmp_path.name[-40:].replace('_', '-')}", "1.0", padding=20_000)
    index.add(wheel)
    index.fault(wheel.filename, Fault(drip_seconds=0.0002, times=1))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT, uv__lock=a_lock(index, wheel))
    return index.add_file(f"{wheel.name}.difypkg", a_package(tmp_path / "slow.difypkg", files).read_bytes())


@pytest.fixture
def complaints() -> Complaints:
    return Complaints()


@pytest.fixture
def context(browser: Browser, mode: RunningMode) -> Iterator[BrowserContext]:
    context = browser.new_context(
        base_url=mode.page_url, viewport={"width": 1280, "height": 860}, locale="en-US", accept_downloads=True
    )
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, complaints: Complaints) -> Iterator[Page]:
    """A page whose console must stay silent."""
    page = context.new_page()
    watch(page, complaints)
    yield page
    assert complaints.unexpected() == []


@pytest.fixture
def proxy(mode: RunningMode) -> Iterator[FaultProxy]:
    """A network between browser and dashboard that can break."""
    address = urlsplit(mode.page_url)
    with FaultProxy((str(address.hostname), int(address.port or 80))) as proxy:
        yield proxy
