"""Languages, themes, small screens, keyboard, screen readers. Screenshots of each page go to test-results/."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from console import Complaints, watch
from fakes.index import FakeIndex
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from local_mode import RunningMode
from requirements import require

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "dashboard/web/node_modules/axe-core/axe.min.js"
SHOTS = ROOT / "test-results" / "screenshots"
PAGES = {"list": "/", "done": "/tasks/default/shown", "failed": "/tasks/default/shown-failed", "new": "/new"}


@pytest.fixture(scope="module")
def shown(mode: RunningMode, index: FakeIndex, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One task that succeeded and one that failed."""
    wheel = next(iter(index.wheels.values()))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT, uv__lock=a_lock(index, wheel))
    good = a_package(tmp_path_factory.mktemp("plugin") / "shown.difypkg", files).read_bytes()
    for name, content in (("shown", good), ("shown-failed", b"no zip")):
        mode.create_task(name, index.add_file(f"{name}.difypkg", content))
    mode.wait_for_phase("shown", "Succeeded")
    mode.wait_for_phase("shown-failed", "Failed")


def settled(page: Page) -> None:
    """Wait until the page shows its data."""
    expect(page.get_by_test_id("connection")).to_have_text(["Connected"] if "en" in language(page) else ["已连接"])
    page.wait_for_load_state("networkidle")


def language(page: Page) -> str:
    return str(page.evaluate("document.documentElement.lang"))


def violations(page: Page) -> list[dict[str, Any]]:
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa']})")
    return [
        {"rule": each["id"], "where": [node["target"] for node in each["nodes"]][:3], "help": each["help"]}
        for each in found["violations"]
    ]


@pytest.mark.usefixtures("shown")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_every_page_has_no_accessibility_violation_and_no_sideways_scroll(
    browser: Browser, mode: RunningMode, complaints: Complaints, scheme: Any, locale: str, size: str
):
    require(AXE.exists(), "axe-core is missing; run `make setup`")
    viewport: Any = {"width": 1280, "height": 860} if size == "desktop" else {"width": 390, "height": 844}
    context = browser.new_context(
        base_url=mode.page_url, viewport=viewport, locale=locale, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    watch(page, complaints)
    SHOTS.mkdir(parents=True, exist_ok=True)
    found: dict[str, object] = {}
    for name, path in PAGES.items():
        page.goto(path)
        settled(page)
        page.screenshot(path=SHOTS / f"{name}-{scheme}-{locale}-{size}.png", full_page=True)
        if problems := violations(page):
            found[name] = problems
        too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert too_wide <= 0, f"{name} scrolls sideways by {too_wide} px"
    context.close()
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)
    assert complaints.unexpected() == []


@pytest.mark.usefixtures("shown")
def test_the_language_can_be_switched_and_is_remembered(page: Page):
    page.goto("/tasks/default/shown")
    page.get_by_role("button", name="中文").or_(page.get_by_text("中文", exact=True)).first.click()
    expect(page.get_by_text("离线安装验证")).to_be_visible()
    assert language(page) == "zh-CN"
    page.reload()
    expect(page.get_by_text("离线安装验证")).to_be_visible()


def test_the_dark_theme_is_set_before_the_first_paint(browser: Browser, mode: RunningMode):
    context = browser.new_context(base_url=mode.page_url, color_scheme="dark")
    page = context.new_page()
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => { window.firstScheme ="
        " document.documentElement.getAttribute('data-mantine-color-scheme') })"
    )
    page.goto("/")
    assert page.evaluate("window.firstScheme") == "dark"
    context.close()


def test_a_task_can_be_created_by_keyboard_alone(page: Page, plugin_url: str):
    page.goto("/")
    expect(page.get_by_test_id("connection")).to_have_text("Connected")
    new = page.get_by_role("link", name="New task").or_(page.get_by_role("button", name="New task")).first
    for _ in range(20):
        page.keyboard.press("Tab")
        if new.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Enter")
    page.get_by_text("Paste a link").click()
    page.get_by_role("textbox", name="Link").focus()
    page.keyboard.type(plugin_url)
    page.keyboard.press("Enter")
    page.wait_for_url("**/tasks/default/**")


def test_nothing_is_fetched_from_another_host_and_no_script_stands_in_the_page(page: Page, mode: RunningMode):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto("/")
    expect(page.get_by_test_id("connection")).to_have_text("Connected")
    assert [url for url in asked if not url.startswith((mode.page_url, "data:", "blob:"))] == []
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert page.locator("script:not([src])").count() == 0
