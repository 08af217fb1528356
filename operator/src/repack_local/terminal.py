"""What `dify-repack` shows in a terminal while it works; on stderr."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from repack_contract.phases import Stage, StageState
from repack_contract.values import LogLine, StageProgress
from repack_contract.values import Progress as WorkProgress
from repack_local.showing import Loudness, is_shown, text_of

_MARKS = {
    StageState.PENDING: "[dim]·[/]", StageState.DONE: "[green]✓[/]", StageState.FAILED: "[red]✗[/]",
    StageState.SKIPPED: "[dim]–[/]",
}  # fmt: skip


class _Bytes(DownloadColumn):
    """Bytes, of stages that move some."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.fields["moves"] else Text("")


class _Speed(TransferSpeedColumn):
    """Bytes per second, of stages that move some."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.fields["moves"] and (task.finished_speed or task.speed) else Text("")


class _Remaining(TimeRemainingColumn):
    """Time that is left, of a stage that moves bytes and says how many."""

    def render(self, task: Task) -> Text:
        known = task.fields["moves"] and task.total and not task.finished and task.time_remaining is not None
        return Text(f"{task.time_remaining or 0:.0f} s left", style="progress.remaining") if known else Text("")


class _Seconds(ProgressColumn):
    """Time passed; most stages take less than a second."""

    def render(self, task: Task) -> Text:
        seconds = task.finished_time if task.finished else task.elapsed
        return Text(f"{seconds:5.1f} s" if seconds is not None else "", style="progress.elapsed")


class TerminalReporter:
    """Listens to a worker and shows it on stderr, so that stdout stays for results."""

    def __init__(self, *, loudness: Loudness, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._loudness = loudness
        self._live = self._console.is_terminal and loudness is not Loudness.QUIET
        self._stages: dict[Stage, TaskID] = {}
        self._display = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.fields[mark]} {task.description:<9}"),
            BarColumn(bar_width=28),
            _Bytes(),
            _Speed(),
            _Remaining(),
            _Seconds(),
            TextColumn("[dim]{task.fields[message]}"),
            console=self._console,
            refresh_per_second=8,
        )

    def __enter__(self) -> Self:
        if self._live:
            self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._display.stop()

    def progress(self, progress: WorkProgress) -> None:
        """Show where the stages stand; a pipe gets the log alone."""
        if not self._live:
            return
        for stage in progress.stages:
            self._show(stage)

    def _show(self, stage: StageProgress) -> None:
        if stage.stage not in self._stages:
            self._stages[stage.stage] = self._display.add_task(
                stage.stage.value, total=None, start=False, mark=" ", message="", moves=False
            )
        task = self._stages[stage.stage]
        if stage.state is StageState.RUNNING and not self._display.tasks[task].started:
            self._display.start_task(task)
        ended = stage.state in {StageState.DONE, StageState.FAILED, StageState.SKIPPED}
        total = stage.bytes_total or (max(stage.bytes_done, 1) if ended else None)
        done = (total or 0) if stage.state is StageState.DONE else stage.bytes_done
        self._display.update(
            task, total=total, completed=done, mark=_MARKS.get(stage.state, " "),
            message="" if ended else (stage.message or ""), moves=stage.bytes_done > 0,
        )  # fmt: skip
        if ended:
            self._display.stop_task(task)

    def log(self, line: LogLine) -> None:
        """Show a line: all of them on demand, otherwise what matters; in a terminal above the display."""
        if is_shown(line, self._loudness, live=self._live):
            style = {"warning": "yellow", "error": "red", "debug": "dim"}.get(line.level, "")
            self._console.print(Text(text_of(line), style=style), soft_wrap=True)


def show_failure_in_colour(reason: str, message: str, hint: str) -> None:
    """Print what went wrong, why, and what to do."""
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble(("✗ ", "red"), (reason, "bold red")))
    console.print(Text(f"  {message}"), soft_wrap=True)
    console.print(Text.assemble(("  What to do: ", "bold"), hint), soft_wrap=True)
