"""Who may start now. Slots are counted from what is seen each time, never kept in a counter that could drift."""

from collections.abc import Callable
from datetime import UTC, datetime

from repack_contract.task import RepackageTask
from repack_operator.observed import Key, Observed
from repack_operator.queueing import FairQueue, Limits
from repack_operator.situation import POSITION_SECONDS, Slot

_STEPS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Positions are told in steps, so that a long queue does not rewrite every status with every task that ends."""
_PATIENCE = 100
"""So many places further back a task is looked at one `POSITION_SECONDS` less often."""


class Tokens:
    """A bucket of permits to make a Job."""

    def __init__(self, *, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._left = self._burst
        self._at = clock()

    def take(self) -> None:
        """Use one permit."""
        self._fill()
        self._left -= 1.0

    @property
    def seconds_left(self) -> float:
        """Seconds until there is a permit; 0 while there is one."""
        self._fill()
        return max((1.0 - self._left) / self._rate, 0.0)

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._rate, self._burst)
        self._at = now


class Slots:
    """The queue of tasks that wait for a slot, and what keeps them from having one."""

    def __init__(
        self, observed: Observed, limits: Limits, *, clock: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        self.limits = limits
        self._observed = observed
        self._clock = clock
        self._now = now
        self._queue = FairQueue(limits, now=lambda: now().timestamp())
        self._tokens = Tokens(rate=limits.starts_per_second, burst=limits.burst, clock=clock)
        self._reserved: dict[str, str] = {}
        """Uid and namespace of tasks whose Job is being made, or was perhaps made."""
        self._told: dict[Key, tuple[float, int, str]] = {}

    @property
    def total(self) -> int:
        """Number of tasks that may run."""
        return self.limits.total

    @property
    def in_use(self) -> int:
        """Number of tasks that run or are about to."""
        return len(self._observed.tasks_with_live_jobs() | self._reserved.keys())

    @property
    def waiting(self) -> int:
        """Number of tasks that wait for a slot."""
        return len(self._queue)

    def in_use_by(self, namespace: str) -> int:
        """Number of tasks of a namespace that run or are about to."""
        reserved = {uid for uid, owner in self._reserved.items() if owner == namespace}
        return len(self._observed.tasks_with_live_jobs(namespace) | reserved)

    def wait(self, key: Key, task: RepackageTask) -> None:
        """Put a task into the queue, or note its changed priority."""
        since = task.status.queued_at or task.metadata.creation_timestamp or datetime.max.replace(tzinfo=UTC)
        self._queue.enter(key, priority=task.spec.priority, since=since.timestamp())

    def leave(self, key: Key) -> None:
        """Take a task out of the queue."""
        self._queue.leave(key)
        self._told.pop(key, None)

    def ask(self, key: Key, task: RepackageTask) -> Slot:
        """Say whether a task may start now. It counts as waiting from now on, until it leaves."""
        self.wait(key, task)
        if self.next_key() == key and not self.hold_seconds:
            return Slot(free=True)
        position, why = self._sticky(key)
        patience = POSITION_SECONDS * (1 + position // _PATIENCE)
        return Slot(free=False, position=position, why=why, again_seconds=patience)

    def reserve(self, key: Key, uid: str) -> None:
        """Hold a slot while the task's Job is being created."""
        self._queue.started(key)
        self._told.pop(key, None)
        self._tokens.take()
        self._reserved[uid] = key[0]

    def release(self, uid: str) -> None:
        """End a reservation: the Job is seen now, or there is none."""
        self._reserved.pop(uid, None)

    def next_key(self) -> Key | None:
        """Return the task that goes next; None where no slot is free or nobody may have it."""
        if self.in_use >= self.total or not self._queue:
            return None
        return self._queue.next(blocked=self._full_namespaces())

    @property
    def hold_seconds(self) -> float:
        """Seconds until another Job may be made; 0 where it may be made now."""
        return self._tokens.seconds_left

    def places(self, limit: int) -> list[tuple[Key, str]]:
        """Return the first tasks of the queue, each with why it waits."""
        full = self._full_namespaces()
        return [(key, self._why(key, full)) for key in self._queue.in_order(limit)]

    def _full_namespaces(self) -> frozenset[str]:
        most = self.limits.per_namespace
        if most is None:
            return frozenset()
        busy = {*self._observed.namespaces_with_live_jobs(), *self._reserved.values()}
        return frozenset(name for name in busy if self.in_use_by(name) >= most)

    def _why(self, key: Key, full: frozenset[str]) -> str:
        namespace = key[0]
        if namespace in full:
            return f"namespace {namespace} uses its {self.in_use_by(namespace)} of {self.limits.per_namespace}"
        if self.in_use >= self.total:
            return "the only slot is in use" if self.total == 1 else f"all {self.total} slots are in use"
        if self.hold_seconds:
            return f"at most {self.limits.starts_per_second:g} tasks are started a second"
        return "those before it are being started"

    def _sticky(self, key: Key) -> tuple[int, str]:
        told_at, position, why = self._told.get(key, (float("-inf"), 0, ""))
        if self._clock() - told_at >= POSITION_SECONDS:
            exact = self._queue.position(key)
            position = max((step for step in _STEPS if step <= exact), default=1)
            why = self._why(key, self._full_namespaces())
            self._told[key] = (self._clock(), position, why)
        return position, why
