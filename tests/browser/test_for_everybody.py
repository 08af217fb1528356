"""Languages, themes, small screens, keyboard, screen readers. Screenshots of each page go to test-results/."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

import scenes
from console import Complaints, watch
from local_mode import RunningMode
from requirements import require
from staged import Stage

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "dashboard/web/node_modules/axe-core/axe.min.js"
DESKTOP: Any = {"width": 1280, "height": 860}
PHONE: Any = {"width": 390, "height": 844}
SMALLEST: Any = {"width": 320, "height": 640}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SHOTS = ROOT / "test-results" / "screenshots"
PAGES = {
    "list": "/",
    "running": "/tasks/default/openai-0-2-7",
    "starting": "/tasks/default/mcp-sse-0-2-2",
    "failed": "/tasks/default/gitlab-0-0-4",
    "done": "/tasks/default/ollama-0-1-3",
    "dry-run": "/tasks/default/dry-sagemaker",
    "packages": "/packages",
    "throughput": "/throughput",
    "settings": "/settings",
    "new": "/new",
    "new-links": "/new?plugin=langgenius/openai@0.2.7%0Aacme/foo%0Aftp://x%0Aacme/foo",
    "new-marketplace": "/new",
    "missing": "/no/such/page",
}


def arranged(page: Page, name: str) -> None:
    """Do on a page what its picture shall show."""
    if name == "list":
        page.get_by_role("checkbox").nth(2).click()
        page.get_by_role("checkbox").nth(4).click(modifiers=["Shift"])
        page.locator("[role=region], section").last.wait_for()
    elif name == "starting":
        for fold in page.locator("details").all():
            fold.locator("summary").click()
        page.locator("tbody").first.wait_for()
    elif name == "throughput":
        page.locator("summary").click()
    elif name == "new-marketplace":
        page.locator("label", has_text="Marketplace").click()
        page.locator("[role=group] img").first.wait_for()
        page.locator("[role=group] [aria-pressed]").first.click()


def settled(page: Page) -> None:
    """Wait until the page shows its data."""
    expect(page.get_by_test_id("connection")).to_have_text(["Connected"] if "en" in language(page) else ["已连接"])
    expect(page.locator("[aria-busy=true], .mantine-Skeleton-root")).to_have_count(0)


def language(page: Page) -> str:
    return str(page.evaluate("document.documentElement.lang"))


def violations(page: Page) -> list[dict[str, Any]]:
    page.evaluate(AXE.read_text())
    options = {"resultTypes": ["violations"], "iframes": False, "runOnly": TAGS}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        {"rule": each["id"], "where": [node["target"] for node in each["nodes"]][:3], "help": each["help"]}
        for each in found["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_every_page_has_no_accessibility_violation_and_no_sideways_scroll(
    browser: Browser, stage: Stage, complaints: Complaints, scheme: Any, locale: str
):
    require(AXE.exists(), "axe-core is missing; run `make setup`")
    stage.clear()
    scenes.a_busy_day(stage)
    context = browser.new_context(
        base_url=stage.url, viewport=DESKTOP, locale=locale, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    watch(page, complaints)
    SHOTS.mkdir(parents=True, exist_ok=True)
    found: dict[str, object] = {}
    for name, path in PAGES.items():
        page.set_viewport_size(DESKTOP)
        page.goto(path)
        settled(page)
        arranged(page, name)
        page.screenshot(path=SHOTS / f"{name}-{scheme}-{locale}-desktop.png")
        if problems := violations(page):
            found[name] = problems
        page.set_viewport_size(PHONE)
        too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        page.screenshot(path=SHOTS / f"{name}-{scheme}-{locale}-phone.png")
        assert too_wide <= 0, f"{name} scrolls sideways by {too_wide} px"
        page.set_viewport_size(SMALLEST)
        too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert too_wide <= 0, f"{name} scrolls sideways by {too_wide} px at 320 px, which is a page at 400 %"
    context.close()
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)
    assert complaints.unexpected() == []


TOO_SMALL = """() => {
  const shown = (element) => element.checkVisibility({visibilityProperty: true}) && element.offsetWidth > 1;
  const hit = (element) => {
    // What covers its whole row, and what a label stands for, is as large as those are.
    if (getComputedStyle(element, '::after').position === 'absolute') return element.offsetParent;
    return element.closest('label') ?? (element.type === 'checkbox' ? element.labels?.[0] : null) ?? element;
  };
  return [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
    .filter((element) => shown(element) && !element.closest('.unseen, [role=log]'))
    .filter((element) => getComputedStyle(element).display !== 'inline' && element.tabIndex >= 0)
    .filter((element) => !element.matches('[href="#content"]'))
    .map((element) => [element, hit(element).getBoundingClientRect()])
    .filter(([element, box]) => box.height < 43.5 || (box.width < 43.5 && element.innerText === ''))
    .map(([element, box]) => `${element.outerHTML.slice(0, 140)} ${box.width}x${box.height}`);
}"""


def test_a_phone_has_no_accessibility_violation_and_targets_that_a_thumb_can_hit(browser: Browser, stage: Stage):
    require(AXE.exists(), "axe-core is missing; run `make setup`")
    stage.clear()
    scenes.a_busy_day(stage)
    context = browser.new_context(base_url=stage.url, viewport=PHONE, has_touch=True, is_mobile=True)
    page = context.new_page()
    found: dict[str, object] = {}
    small: dict[str, list[str]] = {}
    for name in ("list", "running", "done", "failed", "new", "new-links", "new-marketplace", "packages", "throughput",
                 "settings"):  # fmt: skip
        page.goto(PAGES[name])
        settled(page)
        arranged(page, name)
        if problems := violations(page):
            found[name] = problems
        if targets := page.evaluate(TOO_SMALL):
            small[name] = sorted({text[:110] + text[-12:] for text in targets})[:9]
    context.close()
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)
    assert not small, json.dumps(small, indent=1, ensure_ascii=False)


def test_an_address_that_cannot_be_decoded_is_a_page_like_any_other(on_stage: Page):
    on_stage.goto("/tasks/default/%E0%A4%A")
    expect(on_stage.get_by_role("heading", level=1)).to_be_visible()
    expect(on_stage.get_by_test_id("connection")).to_have_text("Connected")


def test_the_language_can_be_switched_and_is_remembered(on_stage: Page, stage: Stage):
    page = on_stage
    scenes.a_busy_day(stage)
    page.goto("/tasks/default/ollama-0-1-3")
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
    page.get_by_role("radio", name="Upload file").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("textbox", name="Links to plugins").focus()
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


@pytest.mark.parametrize(("wish", "moves"), [("no-preference", True), ("reduce", False)])
def test_nothing_moves_for_who_asked_for_stillness(browser: Browser, stage: Stage, wish: Any, moves: bool):
    stage.clear()
    scenes.a_busy_day(stage)
    context = browser.new_context(base_url=stage.url, viewport=DESKTOP, reduced_motion=wish)
    page = context.new_page()
    page.goto("/")
    spinner = page.locator("[data-phase=Starting] .icon")
    expect(spinner).to_be_visible()
    assert (spinner.evaluate("element => getComputedStyle(element).animationName") != "none") is moves
    context.close()


def test_the_theme_follows_the_system_until_one_is_chosen(browser: Browser, stage: Stage):
    context = browser.new_context(base_url=stage.url, color_scheme="dark", locale="en-US")
    page = context.new_page()
    page.goto("/")
    root = page.locator("html")
    expect(root).to_have_attribute("data-mantine-color-scheme", "dark")
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-mantine-color-scheme", "light")
    page.get_by_role("button", name="Theme: System").click()
    page.get_by_role("menuitem", name="Dark").click()
    expect(root).to_have_attribute("data-mantine-color-scheme", "dark")
    page.reload()
    expect(root).to_have_attribute("data-mantine-color-scheme", "dark")
    context.close()
