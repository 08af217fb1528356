"""Dashboards whose files lie in a bucket of a real S3 server: what a folder does, and what only a bucket must bear."""

import contextlib
import hashlib
import io
import time
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from builders import a_task_object
from fakes.object_store import CREDENTIALS, FORBIDDEN, FaultyNetwork, S3Server, a_network_to
from fakes.redis_server import a_redis
from fakes.task_api import FakeTaskApi
from repack_dashboard import background, object_blobs
from repack_dashboard.settings import Settings
from repack_objects import bucket as buckets
from repack_objects.bucket import Bucket
from running_dashboard import (
    SENDER,
    Dashboard,
    a_dashboard,
    eventually,
    from_operator,
    from_worker,
    logged,
    observed,
    progressed,
)

ZIP = b"PK\x03\x04" + bytes(range(256)) * 40
SHA = hashlib.sha256(ZIP).hexdigest()
NAME = "demo-0.1.0-offline.difypkg"
PUT = f"/api/v1/ingest/artifacts/uid-1/1/amd64/{NAME}"
GET = f"/api/v1/artifacts/uid-1/{NAME}"


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often after the store, and do not wait long for one that fails."""
    monkeypatch.setattr(background, "STORE_SECONDS", 0.05)
    monkeypatch.setattr(object_blobs, "_QUIET_SECONDS", 0.1)
    monkeypatch.setattr(buckets, "RETRIES", 1)


@pytest.fixture
def settings(s3_server: S3Server, bucket: str) -> dict[str, Any]:
    return s3_server.setting(bucket)


@pytest.fixture
async def dashboard(tmp_path: Path, api: FakeTaskApi, settings: dict[str, Any]) -> AsyncIterator[Dashboard]:
    async with a_dashboard(tmp_path / "one", api=api, **settings) as running:
        yield running


@pytest.fixture
def store(s3_server: S3Server, bucket: str) -> Bucket:
    """What lies there, seen from beside."""
    return Bucket(s3_server.location(bucket))


async def keys(store: Bucket) -> list[str]:
    return sorted([found.key async for found in store.list("") if found.key not in {"dify-repack.txt", "tickets.key"}])


async def hand_in(dashboard: Dashboard, path: str = PUT, *, sha256: str = SHA, body: Any = ZIP) -> httpx.Response:
    return await dashboard.http.put(path, content=body, headers=SENDER | {"X-Content-SHA256": sha256})


async def test_a_package_goes_in_and_out_with_ranges_as_from_a_folder(dashboard: Dashboard, store: Bucket) -> None:
    assert (await hand_in(dashboard)).status_code == 201
    assert await keys(store) == ["tasks/uid-1/1/amd64.difypkg", "tasks/uid-1/1/amd64.difypkg.json"]
    whole = await dashboard.http.get(GET)
    assert (whole.content, whole.headers["etag"]) == (ZIP, f'"{SHA}"')
    assert whole.headers["content-disposition"] == f'attachment; filename="{NAME}"'
    first = await dashboard.http.get(GET, headers={"Range": "bytes=0-99"})
    rest = await dashboard.http.get(GET, headers={"Range": "bytes=100-", "If-Range": first.headers["etag"]})
    last = await dashboard.http.get(GET, headers={"Range": "bytes=-4"})
    some = await dashboard.http.get(GET, headers={"Range": "bytes=0-3,10-11"})
    changed = await dashboard.http.get(GET, headers={"Range": "bytes=100-", "If-Range": '"another"'})
    beyond = await dashboard.http.get(GET, headers={"Range": "bytes=999999-"})
    same = await dashboard.http.get(GET, headers={"If-None-Match": f'"{SHA}"'})
    head = await dashboard.http.head(GET)
    assert (first.status_code, first.content + rest.content) == (206, ZIP)
    assert first.headers["content-range"] == f"bytes 0-99/{len(ZIP)}"
    assert last.content == ZIP[-4:]
    assert (some.status_code, ZIP[:4] in some.content, ZIP[10:12] in some.content) == (206, True, True)
    assert (changed.status_code, changed.content) == (200, ZIP)
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(ZIP)}")
    assert (same.status_code, head.headers["content-length"]) == (304, str(len(ZIP)))


async def test_what_arrives_changed_or_too_large_or_is_no_package_leaves_nothing(
    tmp_path: Path, api: FakeTaskApi, settings: dict[str, Any], store: Bucket
) -> None:
    async def too_much() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"PK\x03\x04" + b"x" * (1 << 20)

    async with a_dashboard(tmp_path, api=api, max_upload_bytes=20 << 20, **settings) as dashboard:
        changed = await hand_in(dashboard, body=ZIP + b"!")
        large = await dashboard.http.post("/api/v1/uploads?filename=x.difypkg", content=too_much())
        other = await dashboard.http.post("/api/v1/uploads?filename=x.difypkg", content=b"<html>")
    assert [answer.json()["reason"] for answer in (changed, large, other)] == [
        "ChecksumMismatch", "PackageTooLarge", "InvalidPackage"
    ]  # fmt: skip
    assert await keys(store) == []


async def test_an_upload_a_report_a_result_and_an_archive_are_there_too(dashboard: Dashboard) -> None:
    upload = (await dashboard.http.post("/api/v1/uploads", params={"filename": "a.difypkg"}, content=ZIP)).json()
    assert (await dashboard.http.get(f"/api/v1/uploads/{upload['key']}", headers=SENDER)).content == ZIP
    companion = "/api/v1/ingest/companions/uid-1/1/amd64/report.json"
    assert (await dashboard.http.put(companion, content=b"{}", headers=SENDER)).status_code == 204
    await hand_in(dashboard)
    assert (await dashboard.http.get(f"{GET}/report.json")).json() == {}
    made = {"target": "amd64", "name": NAME, "sha256": SHA, "verification": {"method": "SeccompFilter", "passed": True}}
    path = "/api/v1/ingest/results/uid-1/1"
    result = await dashboard.http.put(path, json={"ok": True, "artifacts": [made]}, headers=SENDER)
    assert result.status_code == 204
    assert (await dashboard.http.get(path, headers=SENDER)).json()["artifacts"][0]["name"] == NAME
    status = {"phase": "Succeeded", "attempt": 1, "sequence": 9, "artifacts": [made]}
    await dashboard.ingest(from_operator(observed(a_task_object(status=status))))
    beside = (await dashboard.http.get("/api/v1/tasks/uid-1/companions")).json()
    archive = await dashboard.http.get("/api/v1/archive", params={"task": "uid-1"})
    assert beside == [{"target": "amd64", "kinds": ["report.json"]}]
    with zipfile.ZipFile(io.BytesIO(archive.content)) as read:
        assert read.testzip() is None
        assert read.read(NAME) == ZIP
    report = (await dashboard.http.get("/api/v1/storage")).json()
    assert (report["packages"], "volumeBytes" in report) == ({"files": 1, "sizeBytes": len(ZIP)}, False)


async def test_a_large_package_passes_in_little_memory_both_ways(dashboard: Dashboard) -> None:
    block = bytes(1 << 20)
    digest = hashlib.sha256()
    for _ in range(96):
        digest.update(block)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(96):
            yield block

    tracemalloc.start()
    assert (await hand_in(dashboard, sha256=digest.hexdigest(), body=body())).status_code == 201
    size = 0
    async with dashboard.http.stream("GET", GET) as answer:
        async for chunk in answer.aiter_raw():
            size += len(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == 96 << 20
    assert peak < 40 << 20


async def test_shared_wheels_lie_in_the_bucket_and_the_least_used_make_room(
    tmp_path: Path, api: FakeTaskApi, settings: dict[str, Any], store: Bucket
) -> None:
    first, second = b"1" * 1000, b"2" * 1000
    names = [hashlib.sha256(content).hexdigest() for content in (first, second)]
    options: dict[str, Any] = {"wheel_cache_bytes": 1500, "cleanup_interval": 0.1} | settings
    async with a_dashboard(tmp_path, api=api, **options) as dashboard:
        poison = await dashboard.http.put(f"/api/v1/wheels/{names[0]}", content=b"poison", headers=SENDER)
        assert (poison.status_code, await keys(store)) == (422, [])
        for content, name in zip((first, second), names, strict=True):
            await dashboard.http.put(f"/api/v1/wheels/{name}", content=content, headers=SENDER)
        assert (await dashboard.http.get(f"/api/v1/wheels/{names[1]}", headers=SENDER)).content == second

        async def one_is_left() -> bool:
            return len(await keys(store)) == 1

        await eventually(one_is_left, "the sweep makes room")


async def test_what_nobody_needs_goes_after_the_time_of_grace(
    tmp_path: Path, api: FakeTaskApi, settings: dict[str, Any], store: Bucket
) -> None:
    options: dict[str, Any] = {"retention_seconds": 2, "cleanup_interval": 0.1} | settings
    async with a_dashboard(tmp_path, api=api, **options) as dashboard:
        used = (await dashboard.http.post("/api/v1/uploads?filename=used.difypkg", content=ZIP)).json()["key"]
        spec = {"source": {"type": "Upload", "upload": {"key": used}}, "targets": [{"arch": "amd64"}]}
        await dashboard.http.post("/api/v1/tasks", json={"name": "user", "spec": spec})
        await dashboard.http.post("/api/v1/uploads?filename=unused.difypkg", content=ZIP)
        await hand_in(dashboard)
        await dashboard.http.delete("/api/v1/tasks/uid-1")
        kept = [f"uploads/{used[:32]}/package", f"uploads/{used[:32]}/package.json"]

        async def only_that() -> bool:
            return await keys(store) == kept

        await eventually(only_that, "only what is used is left, without a mark", seconds=20)


@contextlib.asynccontextmanager
async def two(folder: Path, api: FakeTaskApi, settings: dict[str, Any]) -> AsyncIterator[list[Dashboard]]:
    """Two replicas with a Redis and a bucket in common, and no folder."""
    with a_redis() as redis:
        async with (
            a_dashboard(folder / "one", api=api, redis_url=redis.url, **settings) as one,
            a_dashboard(folder / "other", api=api, redis_url=redis.url, **settings) as other,
        ):
            yield [one, other]


async def lines(dashboard: Dashboard) -> list[int]:
    answer = await dashboard.http.get("/api/v1/tasks/uid-1/log", params={"attempt": 1})
    assert answer.status_code == 200, answer.text
    return [line["n"] for line in answer.json()["items"]]


async def test_two_dashboards_without_a_common_volume_serve_each_others_files_and_logs(
    tmp_path: Path, api: FakeTaskApi, settings: dict[str, Any]
) -> None:
    async with two(tmp_path, api, settings) as (one, other):
        await hand_in(one)
        assert (await other.http.get(GET)).content == ZIP
        upload = (await other.http.post("/api/v1/uploads?filename=x.difypkg", content=ZIP)).json()
        assert (await one.http.get(f"/api/v1/uploads/{upload['key']}", headers=SENDER)).content == ZIP
        # The sender reaches now the one, now the other; and sends a batch again whose answer it missed.
        for number, (replica, batch) in enumerate([(one, (1, 2)), (other, (3, 4)), (one, (3, 4)), (one, (5, 6))], 1):
            await replica.ingest(from_worker("uid-1", logged(*batch), batch=number))

        async def both_have_all() -> bool:
            return await lines(one) == await lines(other) == [1, 2, 3, 4, 5, 6]

        await eventually(both_have_all, "both have every line once")
        whole = "\n".join(f'{{"n":{n},"ts":"2026-11-26T06:00:00Z","text":"line {n}"}}' for n in range(1, 9))
        answer = await other.http.put("/api/v1/ingest/logs/uid-1/1", content=whole, headers=SENDER)
        assert answer.status_code == 204
        assert await lines(one) == list(range(1, 9))


async def test_what_a_worker_told_one_dashboard_the_other_remembers(
    tmp_path: Path, api: FakeTaskApi, settings: dict[str, Any]
) -> None:
    async with (
        a_dashboard(tmp_path / "one", api=api, **settings) as one,
        a_dashboard(tmp_path / "other", api=api, **settings) as other,
    ):
        address = f"/api/v1/memory/plans/{'a' * 64}"
        assert (await one.http.put(address, content=b"a plan", headers=SENDER)).status_code == 204
        assert (await other.http.get(address, headers=SENDER)).content == b"a plan"
        assert (await other.http.put(address, content=b"another", headers=SENDER)).status_code == 204
        assert (await one.http.get(address, headers=SENDER)).content == b"another"


async def test_a_ticket_of_one_dashboard_opens_its_file_on_the_other(
    tmp_path: Path, api: FakeTaskApi, settings: dict[str, Any]
) -> None:
    secret = "the-token-of-all-users"
    guarded = settings | {"auth_mode": "token", "auth_token": secret}
    async with (
        a_dashboard(tmp_path / "one", api=api, **guarded) as one,
        a_dashboard(tmp_path / "other", api=api, **guarded) as other,
    ):
        await hand_in(one)
        given = await one.http.post(
            "/api/v1/downloads", json={"path": GET}, headers={"Authorization": f"Bearer {secret}"}
        )
        cookie = given.headers["set-cookie"].partition(";")[0]
        assert (await other.http.get(GET)).status_code == 401
        assert (await other.http.get(GET, headers={"Cookie": cookie})).content == ZIP


async def test_a_new_dashboard_without_the_old_ones_disk_has_its_logs_and_timelines(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    status = {"phase": "Running", "attempt": 1, "sequence": 3}
    api = FakeTaskApi()
    api.put(a_task_object(status=status))
    async with a_dashboard(tmp_path / "old", api=api, **settings) as old:
        await old.ingest(from_worker("uid-1", logged(1, 2, 3), progressed(1, percent=40)))
    async with a_dashboard(tmp_path / "new", api=api, **settings) as new:
        assert await lines(new) == [1, 2, 3]
        task = (await new.http.get("/api/v1/tasks/uid-1")).json()
        assert task["progress"]["percent"] == 40
        await new.ingest(from_worker("uid-1", logged(4), batch=2))
        assert await lines(new) == [1, 2, 3, 4]


async def test_the_log_of_a_worker_that_vanished_is_kept_when_its_attempt_is_over(
    dashboard: Dashboard, store: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "QUIET_SECONDS", 0)
    await dashboard.ingest(from_worker("uid-1", logged(1, 2)))
    failed = {"phase": "Failed", "attempt": 1, "sequence": 5, "reason": "NodeLost"}
    await dashboard.ingest(from_operator(observed(a_task_object(status=failed))))
    kept = store.get

    async def is_kept() -> bool:
        return (await kept("tasks/uid-1/1/log.ndjson") or b"").count(b"\n") == 2

    await eventually(is_kept, "the spool is in the bucket", seconds=15)


@contextlib.asynccontextmanager
async def over_a_network(
    folder: Path, api: FakeTaskApi, server: S3Server, bucket: str
) -> AsyncIterator[tuple[Dashboard, FaultyNetwork]]:
    async with (
        a_network_to(server) as network,
        a_dashboard(folder, api=api, **server.setting(bucket, port=network.port)) as dashboard,
    ):
        yield dashboard, network


async def ready(dashboard: Dashboard) -> dict[str, Any]:
    answer: dict[str, Any] = (await dashboard.http.get("/readyz")).json()
    return answer


async def test_a_store_that_is_down_is_told_of_and_comes_back_by_itself(
    tmp_path: Path, api: FakeTaskApi, s3_server: S3Server, bucket: str
) -> None:
    async with over_a_network(tmp_path, api, s3_server, bucket) as (dashboard, network):
        await hand_in(dashboard)
        network.cut()
        answers = [
            await dashboard.http.get(GET),
            await hand_in(dashboard),
            await dashboard.http.post("/api/v1/uploads?filename=x.difypkg", content=ZIP),
            await dashboard.http.get("/api/v1/storage"),
            await dashboard.http.get("/api/v1/archive", params={"task": "uid-1"}),
        ]
        assert [answer.status_code for answer in answers[:4]] == [503] * 4
        problem = answers[0].json()
        assert (problem["reason"], "cannot be used" in problem["detail"]) == ("Unavailable", True)
        assert "endpoint" in problem["hint"]
        assert answers[0].headers["retry-after"] == "5"
        told = await ready(dashboard)
        assert (told["ready"], told["degraded"][0]["reason"]) == (True, "object-store-unreachable")
        assert await dashboard.metric("repack_dashboard_object_store_up") == 0
        assert (await dashboard.http.get("/api/v1/tasks")).status_code == 200, "the rest goes on"
        await dashboard.ingest(from_worker("uid-1", logged(1), progressed(1, percent=10)))

        network.is_down = False
        await eventually(lambda: _is_up(dashboard), "the store is found again")
        assert (await dashboard.http.get(GET)).content == ZIP
        assert (await hand_in(dashboard)).status_code == 201


async def _is_up(dashboard: Dashboard) -> bool:
    return await dashboard.metric("repack_dashboard_object_store_up") == 1


async def test_a_dashboard_that_never_could_write_its_store_is_not_ready_and_says_why(
    tmp_path: Path, api: FakeTaskApi, s3_server: S3Server, bucket: str
) -> None:
    wrong = s3_server.setting("there-is-no-such-bucket")
    async with a_dashboard(tmp_path, api=api, **wrong) as dashboard:
        answer = await dashboard.http.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"]) == (503, ["object-store-unreachable"])
        assert "no bucket" in answer.json()["degraded"][0]["message"]
        assert (await dashboard.http.get("/healthz")).status_code == 200


async def test_a_refusal_tells_no_secret_to_anybody(
    tmp_path: Path, api: FakeTaskApi, s3_server: S3Server, bucket: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with over_a_network(tmp_path, api, s3_server, bucket) as (dashboard, network):
        network.answer = FORBIDDEN
        answer = await hand_in(dashboard)
        told = answer.text + str(await ready(dashboard))
    assert (answer.status_code, "403 Forbidden" in told, "credentials" in told) == (503, True, True)
    everything = told + "".join(capfd.readouterr())
    assert not [value for name, value in CREDENTIALS.items() if "KEY" in name and value in everything]


async def test_a_download_that_the_store_breaks_off_never_looks_whole(
    tmp_path: Path, api: FakeTaskApi, s3_server: S3Server, bucket: str
) -> None:
    body = b"PK\x03\x04" + bytes(24 << 20)
    async with over_a_network(tmp_path, api, s3_server, bucket) as (dashboard, network):
        await hand_in(dashboard, sha256=hashlib.sha256(body).hexdigest(), body=body)

        async def read() -> None:
            async with dashboard.http.stream("GET", GET) as answer:
                async for _ in answer.aiter_raw():
                    network.cut_after = 1000

        with pytest.raises(httpx.RemoteProtocolError):
            await read()
        network.cut_after = None
        assert (await dashboard.http.get(GET)).content == body


async def test_a_slow_store_holds_up_nobody_who_only_watches(
    tmp_path: Path, api: FakeTaskApi, s3_server: S3Server, bucket: str
) -> None:
    async with over_a_network(tmp_path, api, s3_server, bucket) as (dashboard, network):
        network.pause = 3.0
        began = time.monotonic()
        await dashboard.ingest(from_worker("uid-1", logged(1), progressed(1, percent=10)))
        assert (await dashboard.http.get("/api/v1/tasks/uid-1")).status_code == 200
        assert time.monotonic() - began < 3.0
        network.pause = 0.0


async def test_a_setting_that_cannot_be_a_store_is_refused_with_its_name() -> None:
    with pytest.raises(ValidationError, match="REPACK_DASHBOARD_STORE_URL: give s3://"):
        Settings(store_url="http://bucket")
    with pytest.raises(ValidationError, match="REPACK_DASHBOARD_STORE_ENDPOINT: the endpoint is http://"):
        Settings(store_url="s3://bucket", store_endpoint="http://127.0.0.1:9000")
