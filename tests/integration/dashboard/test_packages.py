"""Packages in and out: limits while reading, checksums, ranges, names, and nothing half-made left behind."""

import hashlib
import os
from pathlib import Path

import pytest

from fakes.task_api import FakeTaskApi
from running_dashboard import SENDER, Dashboard, a_dashboard, until

ZIP = b"PK\x03\x04" + bytes(range(256)) * 40
SHA = hashlib.sha256(ZIP).hexdigest()
PUT = "/api/v1/ingest/artifacts/uid-1/1/amd64/demo-0.1.0-offline.difypkg"


def files(folder: Path) -> list[str]:
    paths = (Path(place, name) for place, _, names in os.walk(folder) for name in names)  # bears a sweep meanwhile
    return sorted(str(path.relative_to(folder)) for path in paths)


async def hand_in(dashboard: Dashboard, path: str = PUT, *, sha256: str = SHA, body: bytes = ZIP) -> int:
    answer = await dashboard.http.put(path, content=body, headers=SENDER | {"X-Content-SHA256": sha256})
    return answer.status_code


async def test_an_upload_is_stored_and_only_a_worker_may_fetch_it(dashboard: Dashboard) -> None:
    answer = await dashboard.http.post("/api/v1/uploads", params={"filename": "插件 (1).difypkg"}, content=ZIP)
    upload = answer.json()
    assert (answer.status_code, upload["sizeBytes"], upload["sha256"]) == (201, len(ZIP), SHA)
    assert upload["filename"] == "插件 (1).difypkg"
    assert upload["key"].endswith("-1-.difypkg")
    path = f"/api/v1/uploads/{upload['key']}"
    assert (await dashboard.http.get(path)).status_code == 401
    assert (await dashboard.http.get(path, headers=SENDER)).content == ZIP


@pytest.mark.parametrize("length_is_told", [True, False])
async def test_an_upload_above_the_limit_is_refused_and_leaves_nothing(
    tmp_path: Path, api: FakeTaskApi, length_is_told: bool
) -> None:
    async def pieces():  # type: ignore[no-untyped-def]
        for _ in range(64):
            yield b"PK\x03\x04" + b"x" * 1000

    async with a_dashboard(tmp_path, api=api, max_upload_bytes=5000) as dashboard:
        body = b"x" * 5001 if length_is_told else pieces()
        answer = await dashboard.http.post("/api/v1/uploads?filename=x.difypkg", content=body)
        assert (answer.status_code, answer.json()["reason"]) == (413, "PackageTooLarge")
        assert files(tmp_path / "data") == []


async def test_what_is_no_zip_is_refused_at_once(dashboard: Dashboard, tmp_path: Path) -> None:
    answer = await dashboard.http.post("/api/v1/uploads?filename=x.difypkg", content=b"<html>")
    assert (answer.status_code, answer.json()["reason"]) == (422, "InvalidPackage")
    assert "x.difypkg" in answer.json()["detail"]
    assert files(tmp_path / "data") == []


@pytest.mark.parametrize("name", ["", "a/b.difypkg", "..\\x", "x" * 300, "a\nb"])
async def test_file_names_of_uploads_that_could_do_harm_are_refused(dashboard: Dashboard, name: str) -> None:
    answer = await dashboard.http.post("/api/v1/uploads", params={"filename": name}, content=ZIP)
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, "filename")


@pytest.mark.parametrize("key", ["..", "../../etc/passwd", "%2e%2e%2fx", "0" * 32, f"{'0' * 32}-x.difypkg"])
async def test_a_made_up_key_finds_nothing(dashboard: Dashboard, key: str) -> None:
    assert (await dashboard.http.get(f"/api/v1/uploads/{key}", headers=SENDER)).status_code == 404


async def test_a_package_is_downloaded_with_its_checksum_and_a_safe_name(dashboard: Dashboard) -> None:
    assert await hand_in(dashboard) == 201
    answer = await dashboard.http.get("/api/v1/artifacts/uid-1/demo-0.1.0-offline.difypkg")
    assert answer.content == ZIP
    assert answer.headers["etag"] == f'"{SHA}"'
    assert answer.headers["content-disposition"] == 'attachment; filename="demo-0.1.0-offline.difypkg"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["repr-digest"].startswith("sha-256=:")
    head = await dashboard.http.head("/api/v1/artifacts/uid-1/demo-0.1.0-offline.difypkg")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(ZIP)), b"")


async def test_a_cut_download_goes_on_where_it_was(dashboard: Dashboard) -> None:
    await hand_in(dashboard)
    path = "/api/v1/artifacts/uid-1/demo-0.1.0-offline.difypkg"
    first = await dashboard.http.get(path, headers={"Range": "bytes=0-99"})
    rest = await dashboard.http.get(path, headers={"Range": "bytes=100-", "If-Range": first.headers["etag"]})
    last = await dashboard.http.get(path, headers={"Range": "bytes=-4"})
    changed = await dashboard.http.get(path, headers={"Range": "bytes=100-", "If-Range": '"another"'})
    beyond = await dashboard.http.get(path, headers={"Range": "bytes=999999-"})
    same = await dashboard.http.get(path, headers={"If-None-Match": f'"{SHA}"'})
    assert (first.status_code, rest.status_code) == (206, 206)
    assert first.content + rest.content == ZIP
    assert first.headers["content-range"] == f"bytes 0-99/{len(ZIP)}"
    assert last.content == ZIP[-4:]
    assert (changed.status_code, changed.content) == (200, ZIP)
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(ZIP)}")
    assert (same.status_code, same.content) == (304, b"")


async def test_what_arrives_changed_is_refused_and_leaves_nothing(dashboard: Dashboard, tmp_path: Path) -> None:
    answer = await dashboard.http.put(PUT, content=ZIP + b"!", headers=SENDER | {"X-Content-SHA256": SHA})
    assert (answer.status_code, answer.json()["reason"]) == (422, "ChecksumMismatch")
    assert files(tmp_path / "data") == []


async def test_handing_in_the_same_again_is_no_error(dashboard: Dashboard, tmp_path: Path) -> None:
    assert [await hand_in(dashboard), await hand_in(dashboard)] == [201, 201]
    assert files(tmp_path / "data") == ["tasks/uid-1/1/amd64.difypkg", "tasks/uid-1/1/amd64.difypkg.json"]


async def test_the_checksum_may_be_announced_as_the_standard_says(dashboard: Dashboard) -> None:
    digest = "sha-256=:" + __import__("base64").b64encode(bytes.fromhex(SHA)).decode() + ":"
    answer = await dashboard.http.put(PUT, content=ZIP, headers=SENDER | {"Repr-Digest": digest})
    none = await dashboard.http.put(PUT, content=ZIP, headers=SENDER)
    assert (answer.status_code, none.status_code) == (201, 400)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/ingest/artifacts/uid-1/1/amd64/..%2f..%2fevil.difypkg",
        "/api/v1/ingest/artifacts/uid-1/1/amd64/evil.sh",
        "/api/v1/ingest/artifacts/uid-1/0/amd64/x.difypkg",
        "/api/v1/ingest/artifacts/uid-1/1/sparc/x.difypkg",
        "/api/v1/ingest/artifacts/nobody/1/amd64/x.difypkg",
        "/api/v1/ingest/artifacts/..%2f..%2fx/1/amd64/x.difypkg",
    ],
)
async def test_a_package_for_no_task_or_under_a_harmful_name_is_refused(
    dashboard: Dashboard, tmp_path: Path, path: str
) -> None:
    assert await hand_in(dashboard, path) in {404, 405, 422}
    assert files(tmp_path / "data") == []


async def test_of_two_attempts_the_later_package_is_given(dashboard: Dashboard) -> None:
    other = b"PK\x03\x04 the second attempt"
    await hand_in(dashboard)
    await hand_in(dashboard, PUT.replace("/1/amd64", "/2/amd64"), sha256=hashlib.sha256(other).hexdigest(), body=other)
    answer = await dashboard.http.get("/api/v1/artifacts/uid-1/demo-0.1.0-offline.difypkg")
    assert answer.content == other


async def test_a_full_volume_has_its_own_reason_and_leaves_nothing(
    dashboard: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk:
        def __init__(self, path: Path, mode: str) -> None:
            path.touch()

        def __enter__(self) -> "FullDisk":
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("repack_dashboard.files.FileIO", FullDisk)
    answer = await dashboard.http.post("/api/v1/uploads?filename=x.difypkg", content=ZIP)
    assert (answer.status_code, answer.json()["reason"]) == (507, "DiskFull")
    assert files(tmp_path / "data") == []


async def test_uploads_that_no_task_names_and_files_of_deleted_tasks_go_after_the_retention(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    async with a_dashboard(tmp_path, api=api, retention_seconds=2, cleanup_interval=0.05) as dashboard:
        body = await dashboard.http.post("/api/v1/uploads?filename=used.difypkg", content=ZIP)
        spec = {"source": {"type": "Upload", "upload": {"key": body.json()["key"]}}, "targets": [{"arch": "amd64"}]}
        await dashboard.http.post("/api/v1/tasks", json={"name": "user", "spec": spec})
        await hand_in(dashboard)
        await dashboard.http.post("/api/v1/uploads?filename=unused.difypkg", content=ZIP)
        await dashboard.http.delete("/api/v1/tasks/uid-1")
        uploads, tasks = tmp_path / "data" / "uploads", tmp_path / "data" / "tasks"
        await until(lambda: len(files(uploads)) == 2 and files(tasks) == [], "only what is used is left")
        kept = await dashboard.http.get(f"/api/v1/uploads/{body.json()['key']}", headers=SENDER)
    assert kept.content == ZIP


def a_result(**artifact: object) -> dict[str, object]:
    verification = {"method": "SeccompFilter", "passed": True}
    made = {"target": "amd64", "name": "demo-0.1.0-offline.difypkg", "sha256": SHA, "verification": verification}
    return {"ok": True, "artifacts": [made | artifact]}


async def test_what_an_attempt_published_is_told_to_an_operator_that_asks(dashboard: Dashboard) -> None:
    path = "/api/v1/ingest/results/uid-1/1"
    assert (await dashboard.http.get(path, headers=SENDER)).status_code == 404
    assert (await dashboard.http.put(path, json=a_result(), headers=SENDER)).status_code == 409
    assert await hand_in(dashboard) == 201

    assert (await dashboard.http.put(path, json=a_result(sha256="0" * 64), headers=SENDER)).status_code == 409
    assert (await dashboard.http.put(path, json=a_result(), headers=SENDER)).status_code == 204

    answer = (await dashboard.http.get(path, headers=SENDER)).json()
    assert answer["artifacts"][0]["verification"] == {"method": "SeccompFilter", "passed": True}
    assert (await dashboard.http.get(path)).status_code == 401
    assert (await dashboard.http.get("/api/v1/ingest/results/uid-1/2", headers=SENDER)).status_code == 404


async def test_a_result_whose_package_is_gone_is_told_to_nobody(dashboard: Dashboard, tmp_path: Path) -> None:
    path = "/api/v1/ingest/results/uid-1/1"
    await hand_in(dashboard)
    await dashboard.http.put(path, json=a_result(), headers=SENDER)
    for file in (tmp_path / "data").rglob("amd64.difypkg"):
        file.unlink()

    assert (await dashboard.http.get(path, headers=SENDER)).status_code == 404
