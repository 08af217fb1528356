"""Whether the operator is alive, judged by its heartbeats: Unknown until the first, Stale after three missed ones."""

from collections.abc import Callable
from datetime import datetime

from repack_contract.events import HEARTBEAT_SECONDS, MISSED_HEARTBEATS, Heartbeat, QueuePlace
from repack_contract.views import OperatorHealth, OperatorState

STALE_SECONDS = HEARTBEAT_SECONDS * MISSED_HEARTBEATS


class OperatorWatch:
    """The operator's health now. It does not measure time by itself: `clock` does, and somebody calls `check`."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard_at: float | None = None
        self.health = OperatorHealth()
        self.queue: list[QueuePlace] = []
        """The first places of the operator's queue, as it last told."""

    def heard(self, heartbeat: Heartbeat, *, instance: str, epoch: int, at: datetime) -> bool:
        """Take a heartbeat; True when what browsers see changed. That of a leader who was replaced is ignored."""
        if self.health.epoch is not None and epoch < self.health.epoch and not self._is_silent():
            return False
        old = self.health
        self.queue = heartbeat.queue
        self._heard_at = self._clock()
        self.health = OperatorHealth(
            state=OperatorState.HEALTHY,
            last_heard_at=at,
            instance=instance,
            epoch=epoch,
            leader=heartbeat.leader,
            queue_depth=heartbeat.queue_depth,
            running=heartbeat.running,
            slots=heartbeat.slots,
            watch_age_seconds=heartbeat.watch_age_seconds,
            api_errors=heartbeat.api_errors,
            lag_seconds=heartbeat.lag_seconds,
        )
        return _shown(old) != _shown(self.health)

    def check(self) -> bool:
        """Judge the silence; True when the operator has just become stale."""
        if self.health.state is not OperatorState.HEALTHY or not self._is_silent():
            return False
        self.health = self.health.model_copy(update={"state": OperatorState.STALE})
        return True

    def _is_silent(self) -> bool:
        return self._heard_at is None or self._clock() - self._heard_at > STALE_SECONDS


def _shown(health: OperatorHealth) -> OperatorHealth:
    """Return what is worth telling: not the moment of each heartbeat, nor what trembles all the time."""
    trembling = ("last_heard_at", "watch_age_seconds", "api_errors", "lag_seconds")
    return health.model_copy(update=dict.fromkeys(trembling))
