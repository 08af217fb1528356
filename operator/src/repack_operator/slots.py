"""Who may run next. Slots are counted from what is seen each time, never kept in a counter that could drift.

Fair sharing between namespaces, ageing and weights take the place of `rank` when they come; nothing else asks it.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from datetime import UTC, datetime

from repack_contract.task import RepackageTask
from repack_operator.observed import Key, Observed
from repack_operator.situation import POSITION_SECONDS, Slot

_STEPS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500)
"""Positions are told in steps, so that a long queue does not rewrite every status with every task that ends."""
Rank = tuple[int, datetime, str]
"""Sorts the queue."""
_NEVER = datetime.max.replace(tzinfo=UTC)


def rank(task: RepackageTask) -> Rank:
    """Return the sort key of a waiting task: higher priority first, then the older one."""
    created = task.metadata.creation_timestamp
    return (-task.spec.priority, created or _NEVER, task.metadata.uid)


class Slots:
    """The queue of tasks that wait for one of `total` slots."""

    def __init__(self, observed: Observed, *, total: int, clock: Callable[[], float]) -> None:
        self.total = total
        self._observed = observed
        self._clock = clock
        self._ranks: dict[Key, Rank] = {}
        self._order: list[tuple[Rank, Key]] = []
        """The queue, first one first."""
        self._reserved: set[str] = set()
        self._told: dict[Key, tuple[float, int]] = {}

    @property
    def in_use(self) -> int:
        """Number of tasks that run or are about to."""
        return len(self._observed.tasks_with_live_jobs() | self._reserved)

    @property
    def waiting(self) -> int:
        """Number of tasks that wait for a slot."""
        return len(self._order)

    def wait(self, key: Key, task: RepackageTask) -> None:
        """Put a task into the queue, or note its changed priority."""
        new = rank(task)
        if self._ranks.get(key) != new:
            self._drop(key)
            self._ranks[key] = new
            insort(self._order, (new, key))

    def leave(self, key: Key) -> None:
        """Take a task out of the queue."""
        self._drop(key)
        self._told.pop(key, None)

    def ask(self, key: Key, task: RepackageTask) -> Slot:
        """Say whether a task may start now. It counts as waiting from now on, until it leaves."""
        self.wait(key, task)
        ahead = bisect_left(self._order, (self._ranks[key], key))
        free = self.total - self.in_use
        return Slot(free=ahead < free, position=self._sticky(key, ahead + 1), total=self.total)

    def reserve(self, key: Key, uid: str) -> None:
        """Hold a slot while the task's Job is being created."""
        self.leave(key)
        self._reserved.add(uid)

    def release(self, uid: str) -> None:
        """End a reservation: the Job is seen now, or there is none."""
        self._reserved.discard(uid)

    def next_keys(self) -> list[Key]:
        """Return the tasks that may start now, the first in the queue first."""
        return [key for _, key in self._order[: max(self.total - self.in_use, 0)]]

    def _drop(self, key: Key) -> None:
        old = self._ranks.pop(key, None)
        if old is not None:
            del self._order[bisect_left(self._order, (old, key))]

    def _sticky(self, key: Key, position: int) -> int:
        coarse = max((step for step in _STEPS if step <= position), default=1)
        told_at, told = self._told.get(key, (float("-inf"), 0))
        if told and self._clock() - told_at < POSITION_SECONDS:
            return told
        self._told[key] = (self._clock(), coarse)
        return coarse
