"""Counters and gauges of the dashboard. Never labelled by task, client or anything else without a bound."""

from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from repack_dashboard.blobs import StoreHealth
from repack_dashboard.eventlog import EventLog

CONTENT_TYPE = CONTENT_TYPE_LATEST
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter, which nobody reads
_FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Metrics:
    """All metrics of one dashboard, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"repack_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"repack_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...] = _FAST) -> Histogram:
            return Histogram(f"repack_{name}", text, registry=registry, buckets=buckets)

        self.connections = gauge("ws_connections", "Open WebSockets", "channel_kind")
        # Not `ws_connections_total`: OpenMetrics knows one family `ws_connections`, and that is the gauge.
        self.connections_total = counter("ws_connections_opened_total", "WebSockets that were accepted")
        self.disconnects = counter("ws_disconnects_total", "WebSockets that ended", "code", "initiator")
        self.rejected = counter("ws_rejected_total", "WebSockets that were refused", "reason")
        self.messages_sent = counter("ws_messages_sent_total", "Messages handed to clients", "type")
        self.bytes_sent = counter("ws_bytes_sent_total", "Bytes of frames handed to clients")
        self.messages_received = counter("ws_messages_received_total", "Messages of clients", "type")
        self.broadcast_seconds = histogram("ws_broadcast_duration_seconds", "One event written to all its clients")
        self.publish_seconds = histogram("ws_publish_to_write_seconds", "From the event's number to the last write")
        self.ping_rtt = histogram("ws_ping_rtt_seconds", "From our ping to the client's pong", (*_FAST, 5.0, 30.0))
        self.backlog_frames = gauge("ws_backlog_frames", "Most frames that wait for one client")
        self.slow_consumers = counter("ws_slow_consumers_total", "Clients that did not keep up", "action")
        self.coalesced = counter("ws_coalesced_total", "Frames left out for a newer one of the same task")
        self.resumes = counter("ws_resume_total", "Clients that came back with a position", "result")
        self.replayed = counter("ws_replayed_messages_total", "Events sent again to clients that came back")
        self.drain_remaining = gauge("ws_drain_remaining", "WebSockets still to be closed before we end")

        self.requests = counter("http_requests_total", "Answers of the REST interface", "method", "status")
        self.request_seconds = histogram(
            "http_request_duration_seconds",
            "Time until an answer was sent whole",
            (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
        )
        self.ingest_batches = counter("ingest_batches_total", "Batches taken", "sender")
        self.ingest_events = counter("ingest_events_total", "Events in batches", "kind", "result")
        self.log_lines = counter("ingest_log_lines_total", "Log lines kept")
        self.artifact_bytes = counter("artifact_bytes_total", "Bytes of packages taken", "kind")
        self.store_requests = counter("dashboard_object_store_requests_total", "Requests", "operation", "result")
        self.log_up = gauge("dashboard_event_log_up", "1 while the event log can be written and is followed")
        self.log_head = gauge("dashboard_event_log_head", "Number of the last event (gseq)")
        self.log_begins = counter("dashboard_event_log_begins_total", "Times that the numbers did not go on")
        self.relists = counter("dashboard_relists_total", "Full lists of the tasks", "result")
        self.tasks = gauge("dashboard_tasks", "Tasks that are shown")
        self.open_files = gauge("dashboard_open_fds", "Open file descriptors; the bound of connections")
        self.open_files.set_function(_open_files)

    def count_tasks(self, count: Callable[[], int]) -> None:
        """Ask `count` for the number of tasks whenever the metrics are read."""
        self.tasks.set_function(lambda: float(count()))

    def watch_log(self, events: EventLog) -> None:
        """Ask the event log how it is whenever the metrics are read."""
        self.log_up.set_function(lambda: float(events.state.is_live))
        self.log_head.set_function(lambda: float(events.head(None)))
        events.listeners.begins.append(lambda _states: self.log_begins.inc())

    def watch_store(self, health: StoreHealth) -> None:
        """Ask how the object store is whenever the metrics are read; without one there is no such metric."""
        text = "1 while the object store of the files can be used"
        up = Gauge("repack_dashboard_object_store_up", text, registry=self.registry)
        up.set_function(lambda: float(health.is_up))

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)


def _open_files() -> float:
    try:
        return float(sum(1 for _ in Path("/proc/self/fd").iterdir()))
    except OSError:
        return 0.0  # no such folder on this system
