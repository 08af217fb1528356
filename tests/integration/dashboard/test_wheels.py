"""The wheels that workers share, and the files that belong to an artifact."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from fakes.task_api import FakeTaskApi
from running_dashboard import SENDER, Dashboard, a_dashboard

ZIP = b"PK\x03\x04" + bytes(range(256)) * 40
SHA = hashlib.sha256(ZIP).hexdigest()
PUT = "/api/v1/ingest/artifacts/uid-1/1/amd64/demo-0.1.0-offline.difypkg"
WHEEL = b"wheel" * 1000
NAME = hashlib.sha256(WHEEL).hexdigest()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def put(dashboard: Dashboard, content: bytes, name: str | None = None) -> int:
    name = name or hashlib.sha256(content).hexdigest()
    answer = await dashboard.http.put(f"/api/v1/wheels/{name}", content=content, headers=SENDER)
    return answer.status_code


async def has(dashboard: Dashboard, content: bytes) -> bool:
    name = hashlib.sha256(content).hexdigest()
    return (await dashboard.http.get(f"/api/v1/wheels/{name}", headers=SENDER)).status_code == 200


async def test_a_wheel_that_one_worker_handed_in_is_there_for_the_next(dashboard: Dashboard) -> None:
    assert await put(dashboard, WHEEL) == 204
    answer = await dashboard.http.get(f"/api/v1/wheels/{NAME}", headers=SENDER)
    assert (answer.status_code, answer.content) == (200, WHEEL)


async def test_a_wheel_of_another_content_is_refused_and_leaves_nothing(dashboard: Dashboard, tmp_path: Path) -> None:
    assert await put(dashboard, b"poison", NAME) == 422
    assert not await has(dashboard, WHEEL)
    assert files(tmp_path / "data") == []


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_the_shared_wheels_are_for_workers_only(dashboard: Dashboard, method: str) -> None:
    answer = await dashboard.http.request(method, f"/api/v1/wheels/{NAME}", content=WHEEL)
    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["..", "a" * 63, "A" * 64, "a" * 65])
async def test_only_a_sha256_names_a_wheel(dashboard: Dashboard, name: str) -> None:
    assert (await dashboard.http.get(f"/api/v1/wheels/{name}", headers=SENDER)).status_code in {404, 422}


async def test_the_wheels_used_least_lately_make_room_for_new_ones(tmp_path: Path, api: FakeTaskApi) -> None:
    first, second, third = (letter * 1000 for letter in (b"1", b"2", b"3"))
    async with a_dashboard(tmp_path, api=api, wheel_cache_bytes=2500) as dashboard:
        for content in (first, second):
            assert await put(dashboard, content) == 204
        assert await has(dashboard, first), "which makes it the one used last"
        assert await put(dashboard, third) == 204
        assert [await has(dashboard, content) for content in (first, second, third)] == [True, False, True]


async def test_two_workers_that_hand_in_the_same_wheel_at_once_do_no_harm(dashboard: Dashboard) -> None:
    assert await asyncio.gather(*(put(dashboard, WHEEL) for _ in range(4))) == [204] * 4
    assert await has(dashboard, WHEEL)


async def test_a_dashboard_that_keeps_no_wheels_takes_them_without_a_word(tmp_path: Path, api: FakeTaskApi) -> None:
    async with a_dashboard(tmp_path, api=api, wheel_cache_bytes=0) as dashboard:
        assert await put(dashboard, WHEEL) == 204
        assert not await has(dashboard, WHEEL)
        assert files(tmp_path / "data") == []


async def test_the_report_of_a_package_is_handed_out_beside_it(dashboard: Dashboard) -> None:
    for kind in ("report.json", "sbom.cdx.json"):
        path = f"/api/v1/ingest/companions/uid-1/1/amd64/{kind}"
        assert (await dashboard.http.put(path, content=b'{"a": 1}')).status_code == 401
        assert (await dashboard.http.put(path, content=b'{"a": 1}', headers=SENDER)).status_code == 204
    beside = PUT.rpartition("/")[2]
    missing = await dashboard.http.get(f"/api/v1/artifacts/uid-1/{beside}/report.json")
    assert missing.status_code == 404, "nobody sees it before the package is there"
    await dashboard.http.put(PUT, content=ZIP, headers=SENDER | {"X-Content-SHA256": SHA})
    answer = await dashboard.http.get(f"/api/v1/artifacts/uid-1/{beside}/report.json")
    assert (answer.status_code, answer.json()) == (200, {"a": 1})
    assert answer.headers["content-type"] == "application/json"
    assert (await dashboard.http.get(f"/api/v1/artifacts/uid-1/{beside}/public_key.pem")).status_code == 404
    assert (await dashboard.http.get(f"/api/v1/artifacts/uid-1/{beside}/other")).status_code == 422


async def test_a_companion_of_an_unknown_task_is_refused(dashboard: Dashboard) -> None:
    path = "/api/v1/ingest/companions/uid-9/1/amd64/report.json"
    assert (await dashboard.http.put(path, content=b"{}", headers=SENDER)).status_code == 404
