"""The throughput of a week does not forget what was deleted: ended tasks are remembered, within bounds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from builders import a_task_object
from fakes.reviews import Known, ReviewingApi
from fakes.task_api import FakeTaskApi
from repack_contract.views import EndedTask
from repack_dashboard import history
from repack_dashboard.history import History
from running_dashboard import Dashboard, a_dashboard, eventually


def ago(**parts: float) -> str:
    return (datetime.now(UTC) - timedelta(**parts)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ended(number: int, *, phase: str = "Succeeded", namespace: str = "default", **status: Any) -> dict[str, Any]:
    facts = {"phase": phase, "sequence": 9, "attempt": 1, "startTime": ago(minutes=2), "completionTime": ago(minutes=1)}
    return a_task_object(name=f"t{number}", uid=f"uid-{number}", namespace=namespace, status=facts | status)


async def gone(dashboard: Dashboard, token: str | None = None) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = await dashboard.http.get("/api/v1/history", headers=headers)
    assert answer.status_code == 200, answer.text
    return sorted(answer.json(), key=lambda each: each["uid"])


async def test_a_task_that_ended_and_was_deleted_is_remembered_also_after_a_restart(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    async with a_dashboard(tmp_path, api=api) as dashboard:
        api.put(ended(7, phase="Failed", reason="DiskFull"))
        api.put(ended(8))
        await dashboard.services.relist.refresh()
        assert await gone(dashboard) == [], "those that exist are in the list itself"
        await dashboard.http.delete("/api/v1/tasks/uid-7")
        [one] = await gone(dashboard)
        assert (one["uid"], one["phase"], one["reason"]) == ("uid-7", "Failed", "DiskFull")
        assert one["completionTime"] > one["startTime"]
    async with a_dashboard(tmp_path, api=api) as again:
        assert [each["uid"] for each in await gone(again)] == ["uid-7"]
        lines = b"".join(path.read_bytes() for path in (tmp_path / "data" / "history").iterdir()).splitlines()
        assert len(lines) == 2, "a task that is still there is not written again at each start"


async def test_dry_runs_cancelled_tasks_and_what_still_runs_are_no_part_of_it(dashboard: Dashboard) -> None:
    dry = ended(1)
    dry["spec"]["dryRun"] = True
    for body in (dry, ended(2, phase="Cancelled"), ended(3, phase="Running", completionTime=None)):
        dashboard.api.put(body)
    await dashboard.services.relist.refresh()
    for number in (1, 2, 3):
        await dashboard.http.delete(f"/api/v1/tasks/uid-{number}")
    assert await gone(dashboard) == []


async def test_who_may_not_see_a_namespace_learns_nothing_of_what_ended_there(tmp_path: Path) -> None:
    cluster = ReviewingApi(FakeTaskApi())
    cluster.tokens = {"ann": Known("ann"), "root": Known("root")}
    cluster.allow("ann", "list", "delete", namespace="mine")
    cluster.allow("root", "list", "delete", namespace="*")
    async with a_dashboard(tmp_path, api=cluster, auth_mode="kubernetes") as dashboard:
        for number, namespace in enumerate(("mine", "theirs")):
            cluster.behind.put(ended(number, namespace=namespace))
        cluster.behind.put(a_task_object(name="stays", uid="uid-9", namespace="mine"))
        await dashboard.services.relist.refresh()
        for number in (0, 1):
            root = {"Authorization": "Bearer root"}
            assert (await dashboard.http.delete(f"/api/v1/tasks/uid-{number}", headers=root)).status_code == 204

        async def are_gone() -> bool:
            return len(await gone(dashboard, "root")) == 2

        await eventually(are_gone, "both are gone")
        assert [each["uid"] for each in await gone(dashboard, "ann")] == ["uid-0"]


def remembered(number: int, at: datetime) -> EndedTask:
    return EndedTask(uid=f"uid-{number}", namespace="default", phase="Succeeded", completion_time=at)


def test_days_that_are_over_go_and_a_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    kept = History(tmp_path, now=lambda: now)
    kept.write([remembered(1, now), remembered(1, now), remembered(2, now - timedelta(days=30))])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-10-27.ndjson", "2026-11-26.ndjson"]
    with (tmp_path / "2026-11-26.ndjson").open("ab") as file:
        file.write(b'{"uid":"uid-3","name')
    again = History(tmp_path, now=lambda: now)
    again.load()
    assert [each.uid for each in again] == ["uid-1"]
    assert [path.name for path in tmp_path.iterdir()] == ["2026-11-26.ndjson"]


def test_of_more_than_can_be_remembered_the_newest_stay(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(history, "MOST", 3)
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    kept = History(tmp_path, now=lambda: now)
    kept.write([remembered(number, now - timedelta(minutes=number)) for number in range(5)])
    kept.load()
    assert sorted(each.uid for each in kept) == ["uid-0", "uid-1", "uid-2"]


def test_a_volume_that_takes_nothing_costs_no_more_than_the_figures(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("a file where the folder should be")
    kept = History(tmp_path / "history", now=lambda: datetime(2026, 11, 26, tzinfo=UTC))
    kept.write([remembered(1, datetime(2026, 11, 26, tzinfo=UTC))])
    kept.load()
    assert list(kept) == []
