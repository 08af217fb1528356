"""The metrics that are promised are there, and the Grafana row asks for nothing else."""

import json
import re
from pathlib import Path

import pytest

from repack_dashboard.metrics import Metrics

ROW = Path(__file__).parents[3] / "charts" / "dify-repack" / "dashboards" / "realtime.json"
PROMISED = {
    "connections": {"channel_kind"}, "connections_opened_total": set(), "disconnects_total": {"code", "initiator"},
    "rejected_total": {"reason"}, "messages_sent_total": {"type"}, "bytes_sent_total": set(),
    "messages_received_total": {"type"}, "broadcast_duration_seconds": set(), "publish_to_write_seconds": set(),
    "ping_rtt_seconds": set(), "backlog_frames": set(), "slow_consumers_total": {"action"}, "coalesced_total": set(),
    "resume_total": {"result"}, "replayed_messages_total": set(), "drain_remaining": set(),
}  # fmt: skip


def registered() -> dict[str, set[str]]:
    """Return the names under which Prometheus stores our metrics, with their labels."""
    found: dict[str, set[str]] = {}
    for collector in Metrics().registry._collector_to_names:
        (family,) = collector.collect()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = set(getattr(collector, "_labelnames", ()))
        if family.type == "histogram":
            found |= {f"{name}_{part}": {"le"} for part in ("bucket", "sum", "count")}
    return found


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_each_promised_metric_is_there_with_its_labels(name: str) -> None:
    assert registered()[f"repack_ws_{name}"] == PROMISED[name]


def test_the_grafana_row_asks_for_metrics_and_labels_that_exist() -> None:
    row = json.loads(ROW.read_text())
    known = registered()
    expressions = [target["expr"] for panel in row["panels"] for target in panel.get("targets", [])]
    assert len(expressions) > 10
    for expression in expressions:
        (name,) = re.findall(r"repack_\w+", expression)
        by = re.findall(r" by \(([^)]*)\)", expression)
        assert name in known, expression
        assert {label.strip() for part in by for label in part.split(",")} <= known[name], expression


def test_the_grafana_row_shows_every_metric_of_the_websocket() -> None:
    text = ROW.read_text()
    assert [name for name in PROMISED if f"repack_ws_{name}" not in text] == []
