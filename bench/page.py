"""How fast the page is, measured in the system's Chromium through the DevTools protocol: `make bench-page`.

A real dashboard with ten thousand tasks; an empty cache; figures of one run on this machine, with ratios where one
figure means nothing by itself. `--write FILE` writes them down.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright  # noqa: E402

from repack_contract.progress import LogLine  # noqa: E402
from staged import Stage, a_task_of, staged, uid_of  # noqa: E402

TASKS = 10_000
LINES = 100_000
LOADS = 5
FRAME_MS = 1000 / 60
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

# Counts what the browser itself calls long (over 50 ms of one task), and every frame while something scrolls.
WATCH = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longTasks.push(entry.duration);
}).observe({type: 'longtask', buffered: true});
window.frames_ = [];
window.countFrames = (on) => {
  window.counting = on;
  let last = null;
  const tick = (now) => {
    if (last !== null) window.frames_.push(now - last);
    last = now;
    if (window.counting) requestAnimationFrame(tick);
  };
  if (on) { window.frames_ = []; requestAnimationFrame(tick); }
};
"""


@dataclass
class Report:
    """Rows of the table, in the order in which they were measured."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, what: str, value: str, meaning: str = "") -> None:
        """Note a figure and show it at once."""
        self.rows.append((what, value, meaning))
        sys.stdout.write(f"  {what:<58} {value:>16}  {meaning}\n")
        sys.stdout.flush()

    def markdown(self) -> str:
        """Return the page of the docs."""
        lines = [
            "# How fast the page is",
            "",
            f"Written by `make bench-page` on {datetime.now(UTC):%Y-%m-%d}: the built page from a real dashboard on",
            f"loopback, the system's Chromium without a GPU, an empty cache for each load, {TASKS:,} tasks in the",
            f"list, {LINES:,} lines in the log. Figures are of one machine in one run; other work ran beside it.",
            "",
            "| what | figure | |",
            "|---|---|---|",
            *(f"| {what} | {value} | {meaning} |" for what, value, meaning in self.rows),
            "",
        ]
        return "\n".join(lines)


def loads(browser: Browser, url: str, report: Report, *, what: str) -> None:
    """Open the page several times with an empty cache."""
    paints, contents, longest, total = [], [], [], []
    for _ in range(LOADS):
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        context.add_init_script(WATCH)
        page = context.new_page()
        page.goto(url)
        page.locator("[data-uid], [data-testid=connection]").first.wait_for()
        page.locator("[data-status=connected]").wait_for()
        paints.append(paint(page))
        contents.append(page.evaluate("performance.now()"))
        tasks = page.evaluate("window.longTasks")
        longest.append(max(tasks, default=0.0))
        total.append(sum(tasks))
        context.close()
    report.add(
        f"{what}: first contentful paint, median", f"{statistics.median(paints):.0f} ms", "wanted: below 1,000 ms"
    )
    report.add(f"{what}: connected, median", f"{statistics.median(contents):.0f} ms")
    report.add(f"{what}: longest task, median", f"{statistics.median(longest):.0f} ms", "the browser calls 50 ms long")
    report.add(f"{what}: sum of long tasks, median", f"{statistics.median(total):.0f} ms")


def paint(page: Page) -> float:
    """Return when something was first seen, in ms after the navigation began."""
    entries = page.evaluate("performance.getEntriesByName('first-contentful-paint').map((entry) => entry.startTime)")
    return float(entries[0]) if entries else float("nan")


def weight(browser: Browser, url: str, report: Report) -> None:
    """Measure what one visit with an empty cache fetches."""
    page = browser.new_page()
    client: CDPSession = page.context.new_cdp_session(page)
    client.send("Network.enable")
    bytes_of: dict[str, float] = {}
    client.on(
        "Network.loadingFinished", lambda event: bytes_of.update({event["requestId"]: event["encodedDataLength"]})
    )
    page.goto(url)
    page.locator("[data-status=connected]").wait_for()
    report.add("one visit: requests", str(len(bytes_of)))
    report.add("one visit: bytes on the line", f"{sum(bytes_of.values()) / 1000:.0f} kB")
    page.close()


def scrolling(page: Page, report: Report, *, what: str, wheel: int = 60, step: int = 600) -> None:
    """Turn the wheel and look at every frame."""
    client: CDPSession = page.context.new_cdp_session(page)
    page.evaluate("window.countFrames(true)")
    for _ in range(wheel):
        client.send("Input.dispatchMouseEvent", {"type": "mouseWheel", "x": 600, "y": 500, "deltaX": 0, "deltaY": step})
    page.evaluate("window.countFrames(false)")
    frames = [float(each) for each in page.evaluate("window.frames_")]
    late = [each for each in frames if each > 2 * FRAME_MS]
    report.add(f"{what}: median frame", f"{statistics.median(frames):.1f} ms", "60 a second are 16.7 ms")
    report.add(f"{what}: 95 % of the frames within", f"{statistics.quantiles(frames, n=20)[-1]:.1f} ms")
    report.add(f"{what}: frames that took two turns or more", f"{len(late)} of {len(frames)}")


def list_of_many(browser: Browser, stage: Stage, report: Report) -> None:
    """Scroll and filter the list."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(stage.url)
    page.locator("[data-uid]").first.wait_for()
    report.add(f"{TASKS:,} tasks: rows in the page", str(page.locator("[data-uid]").count()))
    scrolling(page, report, what=f"{TASKS:,} tasks, scrolling")
    began = page.evaluate("performance.now()")
    page.get_by_role("searchbox").fill("p4321")
    page.get_by_role("link", name="acme/p4321").wait_for()
    report.add(f"{TASKS:,} tasks: search, driver included", f"{page.evaluate('performance.now()') - began:.0f} ms")
    context.close()


def long_log(browser: Browser, stage: Stage, report: Report) -> None:
    """Load a whole log, scroll and search it."""
    stage.put(a_task_of(TASKS + 1, plugin="acme/talker"))
    told = [LogLine(n=n, ts=datetime.now(UTC), text=f"line {n} of many") for n in range(1, LINES + 1)]
    stage.run(stage.dashboard.services.attempts.complete(uid_of(TASKS + 1), 1, told))
    context = browser.new_context(viewport={"width": 1280, "height": 1100})
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(f"{stage.url}/tasks/default/talker-1-0-0")
    page.get_by_role("log").get_by_text(f"line {LINES} of many").wait_for()
    began = page.evaluate("performance.now()")
    page.get_by_role("searchbox").fill("line 777 of")
    page.get_by_role("button", name="Search the whole log").click()
    page.locator("mark").wait_for(timeout=60_000)
    report.add(f"{LINES:,} lines: fetched and searched whole", f"{page.evaluate('performance.now()') - began:.0f} ms")
    report.add(f"{LINES:,} lines: lines in the page", str(page.locator("[role=log] [data-index]").count()))
    page.get_by_role("log").hover()
    scrolling(page, report, what=f"{LINES:,} lines, scrolling")
    context.close()


def burst(browser: Browser, stage: Stage, report: Report) -> None:
    """Let a thousand tasks change at once, and see how long the page is busy."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(stage.url)
    page.locator("[data-uid]").first.wait_for()
    page.evaluate("window.longTasks.length = 0")
    changed: list[dict[str, Any]] = [
        a_task_of(n, plugin=f"acme/p{n}", minutes_ago=n, phase="Failed", status={"sequence": 9, "reason": "DiskFull"})
        for n in range(1000)
    ]
    stage.put(*changed)
    page.locator("[data-uid]").first.get_by_text("Failed").wait_for()
    report.add("1,000 changes at once: sum of long tasks", f"{sum(page.evaluate('window.longTasks')):.0f} ms")
    context.close()


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="Markdown file to write the figures to")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("the benchmark needs Chromium: apt-get install chromium")
    report = Report()
    with tempfile.TemporaryDirectory() as folder, staged(Path(folder)) as stage, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        loads(browser, stage.url, report, what="empty list")
        weight(browser, stage.url, report)
        stage.put(*(a_task_of(n, plugin=f"acme/p{n}", minutes_ago=n, phase="Running") for n in range(TASKS)))
        loads(browser, stage.url, report, what=f"{TASKS:,} tasks")
        list_of_many(browser, stage, report)
        burst(browser, stage, report)
        long_log(browser, stage, report)
        report.add("Chromium", json.loads(json.dumps(browser.version)))
        browser.close()
    if options.write:
        options.write.write_text(report.markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
