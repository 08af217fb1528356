"""When a waiting task will start and how long it will take, from how long the like took lately. Told to the dashboard.

In memory alone: a status that carried it would be rewritten all the time.
"""

from repack_contract.events import MAX_QUEUE_PLACES, QueuePlace
from repack_contract.task import RepackageTask, Status
from repack_kube.resources import Object, uid_of
from repack_operator.observed import Observed
from repack_operator.slots import Slots

Kind = tuple[str, ...]
"""Type of the source, then the targets in order: what decides how long a task takes."""
_NEWEST = 0.3
"""Weight of the newest duration in the moving average."""


def kind_of(spec: Object) -> Kind:
    """Return the kind of a task, of its spec as the API server writes it."""
    targets = sorted(str(target.get("arch", "")) for target in spec.get("targets") or ())
    return (str((spec.get("source") or {}).get("type", "")), *targets)


class Forecast:
    """Exponential moving averages of durations in seconds, by kind of task and over all."""

    def __init__(self, observed: Observed, slots: Slots) -> None:
        self._observed = observed
        self._slots = slots
        self._by_kind: dict[Kind, float] = {}
        self._over_all: float | None = None

    def note(self, task: RepackageTask, status: Status) -> None:
        """Take note of a task that succeeded."""
        if status.start_time is None or status.completion_time is None:
            return
        seconds = max((status.completion_time - status.start_time).total_seconds(), 1.0)
        kind = kind_of(task.spec.wire())
        self._by_kind[kind] = _mixed(self._by_kind.get(kind), seconds)
        self._over_all = _mixed(self._over_all, seconds)

    def places(self) -> list[QueuePlace]:
        """Return the first places of the queue; without estimates while nothing was ever finished."""
        places = []
        for position, (key, why) in enumerate(self._slots.places(MAX_QUEUE_PLACES), start=1):
            body = self._observed.task(key)
            if body is None:
                continue
            lasts = self._by_kind.get(kind_of(body.get("spec") or {}), self._over_all)
            turns = position / self._slots.total
            places.append(
                QueuePlace(
                    uid=uid_of(body),
                    position=position,
                    why=why,
                    starts_in_seconds=None if self._over_all is None else round(turns * self._over_all),
                    lasts_seconds=None if lasts is None else round(lasts),
                )
            )
        return places


def _mixed(old: float | None, new: float) -> float:
    return new if old is None else old + _NEWEST * (new - old)
