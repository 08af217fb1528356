"""How much is shown on the way, and plain lines for a pipe: without rich, which takes a while to import.

A terminal gets the live display of `terminal.py`.
"""

import argparse
import sys
from enum import Enum
from types import TracebackType
from typing import Protocol, Self

from repack_contract.values import LogLine, Progress


class Loudness(Enum):
    """How much is shown on the way."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"


def loudness_of(arguments: argparse.Namespace) -> Loudness:
    """Return what `--quiet` and `--verbose` ask for."""
    if arguments.quiet:
        return Loudness.QUIET
    return Loudness.VERBOSE if arguments.verbose else Loudness.NORMAL


_QUIET_LEVELS = {"debug", "error"}
"""Not shown unless asked for; errors because `show_failure` tells them in full at the end."""


def is_shown(line: LogLine, loudness: Loudness, *, live: bool) -> bool:
    """Tell whether a line is shown: all of them on demand, otherwise what matters, above a live display warnings."""
    if loudness is not Loudness.NORMAL:
        return loudness is Loudness.VERBOSE
    return line.level not in _QUIET_LEVELS and (not live or line.level == "warning")


def text_of(line: LogLine) -> str:
    """Return a line as it is shown."""
    return f"[{line.stage.value}] {line.text}" if line.stage else line.text


class Shown(Protocol):
    """A listener that shows what it hears for the time of a `with` block."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def progress(self, progress: Progress) -> None:
        """Show where the stages stand."""

    def log(self, line: LogLine) -> None:
        """Show a line."""


class PlainReporter:
    """Listens to a worker and writes its lines to stderr, so that stdout stays for results."""

    watches_progress = False

    def __init__(self, loudness: Loudness) -> None:
        self._loudness = loudness

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stderr.flush()

    def progress(self, progress: Progress) -> None:
        """Show nothing: a pipe gets the log alone."""

    def log(self, line: LogLine) -> None:
        """Write a line."""
        if is_shown(line, self._loudness, live=False):
            sys.stderr.write(f"{text_of(line)}\n")


def reporter_for(loudness: Loudness) -> Shown:
    """Return the live display where there is a terminal to show it in, else plain lines."""
    if loudness is Loudness.QUIET or not sys.stderr.isatty():
        return PlainReporter(loudness)
    from repack_local.terminal import TerminalReporter  # noqa: PLC0415 - it imports rich

    return TerminalReporter(loudness=loudness)


def show_failure(reason: str, message: str, hint: str) -> None:
    """Print what went wrong, why, and what to do."""
    if sys.stderr.isatty():
        from repack_local.terminal import show_failure_in_colour  # noqa: PLC0415 - it imports rich

        show_failure_in_colour(reason, message, hint)
    else:
        sys.stderr.write(f"✗ {reason}\n  {message}\n  What to do: {hint}\n")
    sys.stderr.flush()
