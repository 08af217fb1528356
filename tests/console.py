"""What a browser's console complained of while a test used a page."""

import re

from playwright.sync_api import ConsoleMessage, Error, Page


class Complaints:
    """What the browser's console complained of; a test may expect some of it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._expected: list[str] = []

    def expect(self, pattern: str) -> None:
        """Allow complaints of this pattern: the test breaks the connection on purpose."""
        self._expected.append(pattern)

    def note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.seen.append(f"{message.type}: {message.text}")

    def unexpected(self) -> list[str]:
        return [text for text in self.seen if not any(re.search(pattern, text) for pattern in self._expected)]


def watch(page: Page, complaints: Complaints) -> None:
    def crashed(error: Error) -> None:
        complaints.seen.append(f"uncaught: {error}")

    page.on("console", complaints.note)
    page.on("pageerror", crashed)
