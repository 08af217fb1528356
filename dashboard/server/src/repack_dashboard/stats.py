"""Who is connected, as a table for people. What its reader may not see is not in it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from repack_contract.messages import ALL_TASKS, TASK_CHANNEL_PREFIX
from repack_contract.views import TaskView
from repack_dashboard.eventlog import EventLog
from repack_dashboard.hub import Client
from repack_dashboard.welcome import SOME_TASKS

MAX_ROWS = 200

Find = Callable[[str], TaskView | None]
"""Returns a task by its uid; None of one that the reader may not see."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What is told of one connection."""

    channel: str
    age: float
    """Seconds."""
    waiting: int
    """Frames that the client has not read yet."""
    rtt: float | None
    """Seconds from our last answered ping to its pong; None before the first."""


def connections(
    clients: Iterable[Client], *, find: Find, rtt: Callable[[Client], float | None], now: float
) -> list[Connection]:
    """Return a row for each channel of each client, as far as the reader may see it."""
    return [
        Connection(shown, now - client.opened_at, client.sink.waiting, rtt(client))
        for client in clients
        for channel in client.channels
        if (shown := _name(channel, find)) is not None
    ]


def log_line(events: EventLog) -> str:
    """Return a line about the event log."""
    state = events.state
    how = "live" if state.is_live else f"not live: {state.detail}"
    return f"event log: {state.kind}, epoch {events.epoch or '-'}, head {events.head(None)}, {how}\n\n"


def table(rows: Sequence[Connection]) -> str:
    """Return the table: a line per channel, the fullest first."""
    by_channel: dict[str, list[Connection]] = {}
    for row in rows:
        by_channel.setdefault(row.channel, []).append(row)
    fullest = sorted(by_channel.items(), key=lambda item: (-len(item[1]), item[0]))
    lines = [f"{'connections':>11}  {'oldest':>9}  {'newest':>9}  {'backlog':>7}  {'rtt':>9}  channel"]
    lines += [_line(channel, members) for channel, members in fullest[:MAX_ROWS]]
    if len(fullest) > MAX_ROWS:
        lines.append(f"and {len(fullest) - MAX_ROWS} more channels")
    return "\n".join(lines) + "\n"


def _line(channel: str, members: Sequence[Connection]) -> str:
    ages = [member.age for member in members]
    times = [member.rtt for member in members if member.rtt is not None]
    rtt = f"{median(times) * 1000:.1f} ms" if times else "-"
    backlog = max(member.waiting for member in members)
    return f"{len(members):>11}  {max(ages):>7.0f} s  {min(ages):>7.0f} s  {backlog:>7}  {rtt:>9}  {channel}"


def _name(channel: str, find: Find) -> str | None:
    if channel == ALL_TASKS:
        return "all tasks"
    if channel == SOME_TASKS:
        return "all tasks that a user may see"
    if not channel.startswith(TASK_CHANNEL_PREFIX):
        return None  # of one namespace; whoever is in it is counted once, in the row above
    view = find(channel.removeprefix(TASK_CHANNEL_PREFIX))
    return None if view is None else f"{view.namespace}/{view.name}"
