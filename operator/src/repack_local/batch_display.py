"""What is shown while a list is worked on: in a terminal one line for the whole and one for each plugin at work."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from repack_contract.values import LogLine, WorkResult
from repack_contract.values import Progress as WorkProgress
from repack_local.showing import Loudness

_WIDTH = 44


class BatchDisplay:
    """Listens to all workers of a list; on stderr."""

    def __init__(self, lines: int, *, loudness: Loudness, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._loudness, self._lines, self._done = loudness, lines, 0
        self._live = self._console.is_terminal and loudness is not Loudness.QUIET
        self._tasks: dict[int, TaskID] = {}
        self._display = Progress(
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=20),
            TextColumn("{task.fields[stage]}", markup=False), TimeElapsedColumn(),
            console=self._console, refresh_per_second=8,
        )  # fmt: skip
        self._whole = self._display.add_task(f"{lines} plugins", total=lines, stage="")

    def __enter__(self) -> Self:
        if self._live:
            self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._display.stop()

    def begin(self, number: int, text: str) -> None:
        """Show that a line is being worked on."""
        if self._live:
            self._tasks[number] = self._display.add_task(f"  {text[-_WIDTH:]}", total=100, stage="")

    def end(self, number: int, text: str, result: WorkResult, *, word: str, seconds: float) -> None:
        """Show what became of a line."""
        self._done += 1
        if number in self._tasks:
            self._display.remove_task(self._tasks.pop(number))
        self._display.update(self._whole, completed=self._done)
        if self._loudness is not Loudness.QUIET:
            why = "" if result.ok else f": {result.reason}: {result.message}"
            style = "" if result.ok else "red"
            told = f"[{self._done}/{self._lines}] {text} {word} in {seconds:.1f} s{why}"
            self._console.print(Text(told, style=style), soft_wrap=True)

    def reporter(self, number: int, text: str) -> "LineReporter":
        """Return the listener for one line."""
        return LineReporter(self, number, text)

    def moved(self, number: int, progress: WorkProgress) -> None:
        """Show how far a line is."""
        if number in self._tasks:
            stage = progress.stage.value if progress.stage else ""
            self._display.update(self._tasks[number], completed=progress.percent or 0, stage=stage)

    def said(self, text: str, line: LogLine) -> None:
        """Show a line of a worker's log, where all of them are asked for."""
        if self._loudness is Loudness.VERBOSE:
            stage = f"[{line.stage.value}] " if line.stage else ""
            self._console.print(Text(f"{text}: {stage}{line.text}"), soft_wrap=True)


@dataclass(frozen=True)
class LineReporter:
    """Listens to the worker of one line."""

    display: BatchDisplay
    number: int
    text: str

    def progress(self, progress: WorkProgress) -> None:
        """Pass it on."""
        self.display.moved(self.number, progress)

    def log(self, line: LogLine) -> None:
        """Pass it on."""
        self.display.said(self.text, line)
