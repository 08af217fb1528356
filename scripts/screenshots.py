"""Take pictures of every page, in both languages and themes, on a desk and on a phone.

`docs/images/` gets those that README and docs use; `--all FOLDER` writes every combination somewhere to be looked at.
The pages of one task come from a real run of the example plugin; where many tasks are to be seen, a staged cluster
(tests/scenes.py) has them.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, Page, async_playwright

from repack_local.mode import LocalMode
from repack_local.plugin_folder import pack_folder
from repack_local.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import scenes  # noqa: E402
from staged import staged  # noqa: E402

EXAMPLE = ROOT / "examples" / "plugins" / "text_stats"
IMAGES = ROOT / "docs" / "images"
DESKTOP = {"width": 1120, "height": 740}
PHONE = {"width": 390, "height": 844}
LOCALES = {"en": "en-US", "zh": "zh-CN"}
MAX_BYTES = 150_000
"""Larger pictures make a clone slow for everybody."""

Arrange = Callable[[Page], Awaitable[None]]


@dataclass(frozen=True)
class Shot:
    """A page, and what is done on it before the picture."""

    name: str
    path: str
    arrange: Arrange | None = None
    looks: tuple[str, ...] = ()
    """Those that the docs use, such as `light-en`, `dark-zh-phone`."""


async def some_chosen(page: Page) -> None:
    """Choose a few rows."""
    await page.get_by_role("checkbox").nth(5).click()
    await page.get_by_role("checkbox").nth(7).click(modifiers=["Shift"])
    await page.mouse.move(5, 5)


async def from_the_marketplace(page: Page) -> None:
    """Choose a plugin of the Marketplace."""
    await page.locator("label", has_text="Marketplace").click()
    await page.locator("[role=group] img").nth(2).wait_for()
    await page.locator("[role=group] [aria-pressed]").nth(1).click()


async def opened(page: Page) -> None:
    """Open every fold."""
    for fold in await page.locator("summary").all():
        await fold.click()
    await page.wait_for_timeout(300)


LINKS = "langgenius/openai@0.2.7%0Ahttps://marketplace.dify.ai/plugins/langgenius/tavily%0Alanggenius/openai@0.2.7"
STAGED = (
    Shot("list", "/", some_chosen, ("light-en", "dark-zh")),
    Shot("both", "/tasks/default/ollama-0-1-3", None, ()),
    Shot("queued", "/tasks/default/tavily-0-1-2", None, ()),
    Shot("packages", "/packages", None, ()),
    Shot("settings", "/settings", None, ()),
    Shot("throughput", "/throughput", None, ("light-en",)),
    Shot("new-marketplace", "/new", from_the_marketplace, ("light-en",)),
    Shot("new-links", f"/new?plugin={LINKS}", None, ()),
    Shot("failed", "/tasks/default/gitlab-0-0-4", None, ("light-zh",)),
    Shot("starting", "/tasks/default/mcp-sse-0-2-2", opened, ()),
    Shot("running", "/tasks/default/openai-0-2-7", None, ("light-en",)),
    Shot("plan", "/tasks/default/dry-sagemaker", None, ()),
    Shot("new", "/new", None, ()),
)
REAL = (Shot("task", "/tasks/default/text-stats", None, ("light-en",)),)


class Camera:
    """Opens pages as different people see them, and keeps pictures."""

    def __init__(self, browser: Browser, everything: Path | None) -> None:
        self._browser = browser
        self._everything = everything

    async def take(self, base: str, shots: Sequence[Shot]) -> None:
        """Take all pictures of these pages."""
        for shot in shots:
            for scheme in ("light", "dark"):
                for language in LOCALES:
                    for size in ("", "-phone"):
                        look = f"{scheme}-{language}{size}"
                        if look in shot.looks:
                            await self._one(base, shot, look, IMAGES)
                        elif self._everything is not None:
                            await self._one(base, shot, look, self._everything)

    async def _one(self, base: str, shot: Shot, look: str, folder: Path) -> None:
        scheme, language, *phone = look.split("-")
        looks: Any = {"color_scheme": scheme, "locale": LOCALES[language], "viewport": PHONE if phone else DESKTOP}
        context = await self._browser.new_context(reduced_motion="reduce", base_url=base, **looks)
        page = await context.new_page()
        await page.goto(shot.path)
        await page.locator('[data-status="connected"]').wait_for()
        await page.wait_for_load_state("networkidle")
        if shot.arrange is not None:
            await shot.arrange(page)
        path = folder / f"{shot.name}-{look}.png"
        await page.screenshot(path=path)
        await context.close()
        await asyncio.to_thread(weigh, path)


def weigh(path: Path) -> None:
    """Say how large a picture is, and complain of one that is too large for the repository."""
    size = path.stat().st_size
    note = "  TOO LARGE" if size > MAX_BYTES and path.parent == IMAGES else ""
    sys.stdout.write(f"written: {path.name} ({size // 1000} kB){note}\n")


async def create(mode: LocalMode, name: str, folder: Path) -> None:
    """Upload the example and create a task of it, as the form does; return when it has succeeded."""
    package = await pack_folder(EXAMPLE, folder / "text_stats.difypkg", settings=mode.worker_settings)
    content = await asyncio.to_thread(package.read_bytes)
    async with httpx.AsyncClient(base_url=mode.page_url, trust_env=False, timeout=60) as client:
        answer = await client.post("/api/v1/uploads", params={"filename": package.name}, content=content)
        key = str(answer.raise_for_status().json()["key"])
        spec = {"source": {"type": "Upload", "upload": {"key": key}}, "targets": [{"arch": "amd64"}]}
        task = (await client.post("/api/v1/tasks", json={"name": name, "spec": spec})).raise_for_status().json()
        while task["status"].get("phase") not in {"Succeeded", "Failed"}:  # ends: the task has a deadline
            await asyncio.sleep(0.3)
            task = (await client.get(f"/api/v1/tasks/{task['uid']}")).raise_for_status().json()


async def main() -> None:
    """Start what is to be seen in throw-away folders, and take every picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page in every look, to be looked at")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("the screenshots need Chromium: apt-get install chromium fonts-noto-cjk")
    for folder in (IMAGES, options.all):
        if folder is not None:
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        camera = Camera(browser, options.all)
        with (
            tempfile.TemporaryDirectory() as name,
            scenes.a_market() as market,
            staged(Path(name), marketplace_url=market.base, targets=["amd64", "arm64"]) as stage,
        ):
            await asyncio.to_thread(scenes.a_busy_day, stage)
            await camera.take(stage.url, STAGED)
        with tempfile.TemporaryDirectory() as name:
            async with LocalMode(Settings(home=Path(name), port=0, api_port=0)) as mode:
                await create(mode, "text-stats", Path(name))
                await camera.take(mode.page_url, REAL)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
