import httpx
import pytest

from repack_kube.transport import CallMade
from repack_operator import metrics as module
from repack_operator.health import Health, serve_health
from repack_operator.metrics import Metrics


async def answers(health: Health, metrics: Metrics, path: str) -> httpx.Response:
    async with serve_health(health, metrics, host="127.0.0.1", port=0) as port, httpx.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{port}{path}")


async def test_readiness_says_what_is_missing() -> None:
    now = 0.0
    health, metrics = Health(clock=lambda: now, silence_seconds=90), Metrics(version="1")

    assert "have not been listed" in (await answers(health, metrics, "/readyz")).text
    health.synced = True
    assert "watches are not running" in (await answers(health, metrics, "/readyz")).text
    health.watching = True
    health.heard()
    assert (await answers(health, metrics, "/readyz")).status_code == 200
    now = 91.0
    silent = await answers(health, metrics, "/readyz")
    assert (silent.status_code, silent.text) == (503, "nothing heard of the API server for 91 s\n")


async def test_liveness_needs_nothing_but_a_turning_loop() -> None:
    health = Health(clock=lambda: 0.0, silence_seconds=90)

    assert (await answers(health, Metrics(version="1"), "/livez")).status_code == 200


async def test_calls_are_counted_by_verb_resource_and_code() -> None:
    metrics = Metrics(version="1")
    metrics.call_made(CallMade("create", "jobs", 201, 0.1, 0.5))

    text = (await answers(Health(clock=lambda: 0.0, silence_seconds=1), metrics, "/metrics")).text

    assert 'repack_api_requests_total{code="201",resource="jobs",verb="create"} 1.0' in text
    assert "repack_api_throttled_seconds_total 0.5" in text
    assert 'repack_build_info{version="1"} 1.0' in text


def test_the_errors_of_the_last_minute_are_those_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    metrics = Metrics(version="test")
    for code in (200, 404, 409, 403, 503, 0):
        metrics.call_made(CallMade("get", "jobs", code, 0.1, 0.0))
    assert metrics.recent_api_errors == 3
    now[0] += 61
    assert metrics.recent_api_errors == 0
