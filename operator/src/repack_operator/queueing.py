"""The order of waiting tasks: weighted round-robin over namespaces, priority and age inside each. Pure.

Every start costs its namespace 1/weight, and the namespace that has paid least goes next (stride scheduling). One that
had nothing waiting begins at what the others have paid: it saves nothing up. Inside a namespace the highest priority
goes first, and every minute of waiting adds one to it, up to a limit, so that nobody starves.

Nothing here walks over all tasks: entering, leaving and finding a position take a binary search in the task's own
namespace and one step per waiting namespace.
"""

import heapq
import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

Key = tuple[str, str]
"""(namespace, name) of a task."""

_MINUTE = 60.0
_ROUNDING = 1e-9
_Entry = TypeVar("_Entry", tuple[float, "Waiting"], tuple[int, "Waiting"])


@dataclass(frozen=True)
class Limits:
    """How many tasks may run, and how fast they may start."""

    total: int
    per_namespace: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    """How many starts a namespace gets where one of weight 1 gets one; 1 for those not named."""
    ageing_limit: int = 100
    """Most that waiting adds to a priority."""
    starts_per_second: float = 10.0
    burst: int = 25


@dataclass(frozen=True, order=True)
class Waiting:
    """One task that waits."""

    since: float
    """Seconds since the epoch."""
    priority: int
    key: Key


class Line:
    """The waiting tasks of one namespace.

    Those that still age keep their order among each other, whatever the time is: all gain alike. So do those that have
    reached the limit. Two sorted lists are therefore enough, and a task changes from one to the other once.
    """

    def __init__(self, *, ageing_limit: int) -> None:
        self._limit = ageing_limit
        self._young: list[tuple[float, Waiting]] = []
        """By the moment at which they would have had priority 0."""
        self._old: list[tuple[int, Waiting]] = []
        """By priority, the highest first; then by age."""
        self._coming_of_age: list[Waiting] = []
        """A heap; what has left is still in it until its time comes."""

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def enter(self, task: Waiting) -> None:
        """Put a task into the line."""
        insort(self._young, (self._birth(task), task))
        heapq.heappush(self._coming_of_age, task)

    def leave(self, task: Waiting) -> None:
        """Take a task out of the line."""
        if not _dropped(self._young, (self._birth(task), task)):
            _dropped(self._old, (-task.priority, task))

    def first(self, now: float) -> Waiting:
        """Return the task that goes next; the line must not be empty."""
        return next(self.in_order(now))

    def in_order(self, now: float) -> Iterator[Waiting]:
        """Yield the tasks in the order in which they would start if all started now."""
        self._promote(now)
        old = ((self._birth_of_old(task, now), 0, task) for _, task in self._old)
        young = ((birth, 1, task) for birth, task in self._young)
        return (task for *_, task in heapq.merge(old, young))

    def ahead_of(self, task: Waiting, now: float) -> int:
        """Return how many of the line go before the task."""
        self._promote(now)
        if self._reaches_limit(task) > now:
            birth = self._birth(task)
            least = math.ceil((now - birth) / _MINUTE - self._limit - _ROUNDING)
            older = bisect_right(self._old, -least, key=lambda entry: entry[0])
            return bisect_left(self._young, (birth, task)) + older
        younger = bisect_left(self._young, self._birth_of_old(task, now), key=lambda entry: entry[0])
        return bisect_left(self._old, (-task.priority, task)) + younger

    def _promote(self, now: float) -> None:
        while self._coming_of_age and self._reaches_limit(self._coming_of_age[0]) <= now:
            task = heapq.heappop(self._coming_of_age)
            if _dropped(self._young, (self._birth(task), task)):
                insort(self._old, (-task.priority, task))

    def _birth(self, task: Waiting) -> float:
        return task.since - _MINUTE * task.priority

    def _birth_of_old(self, task: Waiting, now: float) -> float:
        return now - _MINUTE * (task.priority + self._limit)

    def _reaches_limit(self, task: Waiting) -> float:
        return task.since + _MINUTE * self._limit


def _dropped(entries: list[_Entry], entry: _Entry) -> bool:
    """Drop an entry of a sorted list; tell whether it was there."""
    index = bisect_left(entries, entry)
    if index == len(entries) or entries[index] != entry:
        return False
    del entries[index]
    return True


class FairQueue:
    """The tasks of all namespaces that wait.

    Args:
        limits: weights of the namespaces, and how far waiting raises a priority.
        now: seconds since the epoch.
    """

    def __init__(self, limits: Limits, *, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._tasks: dict[Key, Waiting] = {}
        self._lines: dict[str, Line] = {}
        self._paid: dict[str, float] = {}
        self._level = 0.0
        """What the namespace had paid that was served last."""

    def __len__(self) -> int:
        return len(self._tasks)

    def enter(self, key: Key, *, priority: int, since: float) -> None:
        """Put a task into the queue, or note its changed priority."""
        task = Waiting(since, priority, key)
        known = self._tasks.get(key)
        if known == task:
            return
        if known is not None:
            self.leave(key)
        namespace = key[0]
        if namespace not in self._lines:
            self._lines[namespace] = Line(ageing_limit=self._limits.ageing_limit)
            self._paid[namespace] = max(self._paid.get(namespace, 0.0), self._level)
        self._lines[namespace].enter(task)
        self._tasks[key] = task

    def leave(self, key: Key) -> None:
        """Take a task out of the queue; one that is not in it changes nothing."""
        task = self._tasks.pop(key, None)
        if task is None:
            return
        line = self._lines[key[0]]
        line.leave(task)
        if not line:
            del self._lines[key[0]]
            if self._paid[key[0]] <= self._level:
                del self._paid[key[0]]

    def started(self, key: Key) -> None:
        """Take a task out of the queue because it starts; its namespace pays."""
        namespace = key[0]
        paid = self._paid.get(namespace, self._level)
        self._level = max(self._level, paid)
        self._paid[namespace] = paid + 1 / self._weight(namespace)
        self.leave(key)

    def next(self, *, blocked: Container[str] = ()) -> Key | None:
        """Return the task that goes next, of the namespaces that are not blocked."""
        now = self._now()
        heads = [(self._paid[name], line.first(now)) for name, line in self._lines.items() if name not in blocked]
        return min(heads)[1].key if heads else None

    def position(self, key: Key) -> int:
        """Return the place of a waiting task, from 1, as if no namespace were blocked and nobody came any more."""
        now, task = self._now(), self._tasks[key]
        mine = self._lines[key[0]].ahead_of(task, now)
        turn = self._paid[key[0]] + mine / self._weight(key[0])
        others = (name for name in self._lines if name != key[0])
        return 1 + mine + sum(self._starts_before(name, turn, task, now) for name in others)

    def in_order(self, limit: int) -> list[Key]:
        """Return the first tasks in the order in which they would start."""
        now = self._now()
        lines = {name: line.in_order(now) for name, line in self._lines.items()}
        heap = [(self._paid[name], next(line)) for name, line in lines.items()]
        heapq.heapify(heap)
        return list(islice(self._served(heap, lines), limit))

    def _served(self, heap: list[tuple[float, Waiting]], lines: dict[str, Iterator[Waiting]]) -> Iterator[Key]:
        while heap:
            paid, task = heapq.heappop(heap)
            yield task.key
            following = next(lines[task.key[0]], None)
            if following is not None:
                heapq.heappush(heap, (paid + 1 / self._weight(task.key[0]), following))

    def _starts_before(self, namespace: str, turn: float, task: Waiting, now: float) -> int:
        line, rest = self._lines[namespace], (turn - self._paid[namespace]) * self._weight(namespace)
        if rest < -_ROUNDING:
            return 0
        whole = math.floor(rest + _ROUNDING)
        is_tie = abs(rest - whole) <= _ROUNDING
        # At the same price the older task goes first; of the other line its first one stands for all.
        starts = whole if is_tie and line.first(now) > task else whole + 1
        return min(starts, len(line))

    def _weight(self, namespace: str) -> float:
        return self._limits.weights.get(namespace, 1.0)
