"""What the operator counts, named in one place (operator.md 6.7). Labels are bounded: no task names, no uids."""

from collections import deque
from collections.abc import Callable
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from repack_contract.phases import Phase
from repack_kube.transport import CallMade

_DURATIONS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_ERRORS = frozenset({0, 401, 403, 429})
"""No answer, and what is refused whoever asks; 404, 409 and 410 are answers like any other."""
_RECENT_SECONDS = 60.0
_MOST_ERRORS = 1000


class Metrics:
    """All series of one operator; each instance has a registry of its own, so that tests do not share them."""

    def __init__(self, *, version: str) -> None:
        self.registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        self._api_errors: deque[float] = deque(maxlen=_MOST_ERRORS)
        self.transitions = self._counter("task_transitions", "Steps of tasks.", "from", "to", "reason")
        self.durations = self._histogram("task_duration_seconds", "From start to end of tasks.", "outcome")
        self.waits = self._histogram("queue_wait_seconds", "From creation to the first start of tasks.")
        self.attempts = self._counter("attempts", "Attempts that ended.", "class")
        self.artifact_bytes = self._counter("artifact_bytes", "Bytes of published packages.")
        self.reconciles = self._counter("reconcile", "Looks at tasks.", "result")
        self.reconcile_seconds = self._histogram("reconcile_duration_seconds", "Time of looks at tasks.")
        self.workqueue_adds = self._counter("workqueue_adds", "Keys handed out by the work queue.")
        self.api_requests = self._counter("api_requests", "Calls to the API server.", "verb", "resource", "code")
        self.api_seconds = self._histogram("api_request_duration_seconds", "Time of those calls.", "verb")
        self.api_throttled = self._counter("api_throttled_seconds", "Time that calls waited for our own limit.")
        self.leader_transitions = self._counter("leader_transitions", "Times that this replica became the leader.")
        self.loop_lag = self._histogram("event_loop_lag_seconds", "How late the event loop wakes a sleeper.")
        self.relists = self._counter("watch_relists", "Times that a kind was listed again by the watch.")
        self.ghosts = self._counter("store_ghosts", "Objects that vanished without an event.", "kind")
        self.emit_sent = self._counter("emit_sent", "Events that the dashboard acknowledged.")
        self.emit_resent = self._counter("emit_resent", "Batches that were sent again.")
        self.emit_refused = self._counter("emit_refused", "Batches that the dashboard refused for good.")
        self.emit_lag = self._histogram(
            "emit_ack_lag_seconds", "From the first send of a batch to its acknowledgement."
        )
        Gauge("repack_build_info", "Always 1.", ("version",), registry=self.registry).labels(version).set(1)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"repack_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(
            f"repack_{name}",
            text,
            labels,
            registry=self.registry,
            buckets=_DURATIONS_OF.get(name, Histogram.DEFAULT_BUCKETS),
        )

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a value that is read when it is asked for; a later reader takes the place of an earlier one."""
        self._gauge(name, text).set_function(read)

    def phases(self, read: Callable[[], dict[str, int]]) -> None:
        """Add `tasks{phase}`, read when it is asked for."""
        gauge = self._gauge("tasks", "Tasks by phase.", "phase")
        for phase in Phase:
            gauge.labels(phase.value).set_function(lambda phase=phase: float(read().get(phase.value, 0)))  # type: ignore[misc]

    def objects(self, kind: str, read: Callable[[], float]) -> None:
        """Add `store_objects{kind}`, read when it is asked for."""
        self._gauge("store_objects", "Objects that are kept in memory.", "kind").labels(kind).set_function(read)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        known = self._gauges.get(name)
        if known is None:
            known = self._gauges[name] = Gauge(f"repack_{name}", text, labels, registry=self.registry)
        return known

    def call_made(self, call: CallMade) -> None:
        """Count a call to the API server."""
        self.api_requests.labels(call.verb, call.resource, str(call.code)).inc()
        self.api_throttled.inc(call.throttled_seconds)
        if call.code in _ERRORS or call.code >= 500:
            self._api_errors.append(monotonic())
        if call.verb != "watch":
            self.api_seconds.labels(call.verb).observe(call.seconds)

    @property
    def recent_api_errors(self) -> int:
        """Return how many calls of the last minute were not answered, or refused for want of rights or capacity."""
        return sum(at > monotonic() - _RECENT_SECONDS for at in self._api_errors)

    def text(self) -> bytes:
        """Return all series in Prometheus' text format."""
        return generate_latest(self.registry)


_DURATIONS_OF = {"task_duration_seconds": _DURATIONS, "queue_wait_seconds": _DURATIONS}
