"""Take the screenshots of README and docs: a real run of the example plugin, seen in the system's Chromium."""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, Page, async_playwright

from repack_local.mode import LocalMode
from repack_local.plugin_folder import pack_folder
from repack_local.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "plugins" / "text_stats"
IMAGES = ROOT / "docs" / "images"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


async def shot(browser: Browser, url: str, name: str, **looks: Any) -> None:
    """Open a page as a user with these looks sees it, and keep a picture."""
    context = await browser.new_context(reduced_motion="reduce", **({"viewport": DESKTOP, "locale": "en-US"} | looks))
    page = await context.new_page()
    await page.goto(url)
    await settled(page)
    await page.screenshot(path=IMAGES / f"{name}.png")
    await context.close()


async def settled(page: Page) -> None:
    """Wait until the page has its data."""
    await page.locator('[data-status="connected"]').wait_for()
    await page.wait_for_load_state("networkidle")


async def running_shot(browser: Browser, mode: LocalMode, key: str) -> None:
    """Start a task and keep a picture of its page while it is verified."""
    context = await browser.new_context(viewport=DESKTOP, locale="en-US", reduced_motion="reduce")
    page = await context.new_page()
    await create(mode, "text-stats", key)
    await page.goto(f"{mode.page_url}/tasks/default/text-stats")
    await page.locator('[data-stage="Verify"][data-state="Running"]').wait_for(timeout=120_000)
    await settled(page)
    await page.screenshot(path=IMAGES / "running-light-en.png")
    await page.locator("[data-method]").wait_for(timeout=120_000)
    await context.close()


async def create(mode: LocalMode, name: str, key: str) -> None:
    """Create a task as the form does."""
    spec = {"source": {"type": "Upload", "upload": {"key": key}}, "targets": [{"arch": "amd64"}]}
    async with httpx.AsyncClient(base_url=mode.page_url, trust_env=False) as client:
        (await client.post("/api/v1/tasks", json={"name": name, "spec": spec})).raise_for_status()


async def upload(mode: LocalMode, folder: Path) -> str:
    """Upload the example and return its key."""
    package = await pack_folder(EXAMPLE, folder / "text_stats.difypkg", settings=mode.worker_settings)
    content = await asyncio.to_thread(package.read_bytes)
    async with httpx.AsyncClient(base_url=mode.page_url, trust_env=False) as client:
        answer = await client.post("/api/v1/uploads", params={"filename": package.name}, content=content)
        return str(answer.raise_for_status().json()["key"])


async def main() -> None:
    """Start the embedded mode in a throw-away folder and take every picture."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("the screenshots need Chromium: apt-get install chromium fonts-noto-cjk")
    await asyncio.to_thread(IMAGES.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        async with LocalMode(Settings(home=Path(name), port=0, api_port=0)) as mode, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            key = await upload(mode, Path(name))
            await running_shot(browser, mode, key)
            task = f"{mode.page_url}/tasks/default/text-stats"
            await shot(browser, task, "task-light-en")
            await shot(browser, task, "task-dark-zh", locale="zh-CN", color_scheme="dark")
            await shot(browser, task, "task-phone-zh", locale="zh-CN", viewport=PHONE)
            await shot(browser, f"{mode.page_url}/", "list-light-en")
            await shot(browser, f"{mode.page_url}/new", "new-light-en")
            await browser.close()
    for picture in sorted(IMAGES.glob("*.png")):
        sys.stdout.write(f"written: {picture.relative_to(ROOT)} ({picture.stat().st_size // 1000} kB)\n")


if __name__ == "__main__":
    asyncio.run(main())
