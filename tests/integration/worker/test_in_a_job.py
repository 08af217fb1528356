"""The worker as the Job runs it: a process with an order in its environment, real HTTP around it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.dashboard import TOKEN, FakeDashboard
from fakes.index import FakeIndex, Fault, a_wheel, wait_until
from fakes.plugins import PYPROJECT, a_lock, a_package
from fakes.processes import stop
from repack_contract.order import WorkOrder
from repack_contract.reasons import Reason
from repack_worker.job import work
from repack_worker.settings import load_settings
from worker_job import STARTED, Job, upload


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    with FakeIndex() as index:
        index.add(a_wheel("tiny-sdk", padding=5000))
        yield index


@pytest.fixture
def ingest() -> Iterator[FakeDashboard]:
    with FakeDashboard() as ingest:
        yield ingest


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    yield
    stop(STARTED)


def test_an_upload_becomes_a_verified_artifact_at_the_dashboard(tmp_path, index, ingest):
    job = Job(tmp_path, index, ingest, source=upload(ingest, tmp_path))
    assert job.run() == 0, job.output
    [(path, content)] = ingest.artifacts.items()
    assert path == "/api/v1/ingest/artifacts/uid-1/2/amd64/tester-tiny_0.0.1-linux-amd64-offline.difypkg"
    [artifact] = job.result["artifacts"]
    assert artifact["sizeBytes"] == len(content)
    assert artifact["uri"].endswith("offline.difypkg")
    assert artifact["verification"]["passed"] is True
    assert job.result["plugin"]["name"] == "tiny"
    assert ingest.results == {"/api/v1/ingest/results/uid-1/2": job.result}
    assert sorted(ingest.companions) == ["report.json", "sbom.cdx.json"]
    assert job.leftovers == []


def test_wheels_are_shared_by_way_of_the_dashboard_and_a_wrong_one_is_fetched_again(tmp_path, index, ingest):
    def run(name: str) -> Job:
        (tmp_path / name).mkdir()
        job = Job(tmp_path / name, index, ingest, source=upload(ingest, tmp_path, **files))
        assert job.run() == 0, job.output
        return job

    files = {"pyproject.toml": PYPROJECT, "uv.lock": a_lock(index, *index.wheels.values())}

    run("first")
    [sha256] = ingest.wheels
    asked = len(index.asked_for("/packages/"))
    assert "0 wheels downloaded, 1 taken from the cache" in run("second").output
    assert len(index.asked_for("/packages/")) == asked
    ingest.wheels[sha256] = b"poison"
    assert "1 wheels downloaded" in run("third").output
    assert ingest.wheels[sha256] != b"poison", "the right one is handed in again"


def test_stages_bytes_and_lines_are_told_while_they_happen_and_the_whole_log_at_the_end(tmp_path, index, ingest):
    job = Job(tmp_path, index, ingest, source=upload(ingest, tmp_path))
    assert job.run() == 0, job.output
    last = [event["progress"] for event in ingest.events if event["kind"] == "progress"][-1]
    assert (last["attempt"], last["percent"]) == (2, 100)
    assert [stage["state"] for stage in last["stages"]] == ["Done"] * 6
    numbers = [line["n"] for event in ingest.events for line in event.get("lines", [])]
    assert numbers == list(range(1, len(numbers) + 1))
    [(path, lines)] = ingest.logs.items()
    assert path == "/api/v1/ingest/logs/uid-1/2"
    assert [line["n"] for line in lines] == numbers
    assert TOKEN not in json.dumps(lines) + job.output


def test_a_failure_has_its_exit_code_its_reason_and_its_log(tmp_path, index, ingest):
    ingest.uploads["tiny.difypkg"] = b"this is no package"
    job = Job(tmp_path, index, ingest, source={"type": "Upload", "upload": {"key": "tiny.difypkg"}})
    assert job.run() == 12, job.output
    assert job.result["reason"] == "InvalidPackage"
    assert "not a zip file" in job.result["message"]
    assert job.result["hint"]
    assert ingest.artifacts == {}
    [lines] = ingest.logs.values()
    assert "not a zip file" in " ".join(line["text"] for line in lines)
    assert job.leftovers == []


def test_an_upload_that_is_gone_is_not_found(tmp_path, index, ingest):
    job = Job(tmp_path, index, ingest, source={"type": "Upload", "upload": {"key": "gone.difypkg"}})
    assert job.run() == 10, job.output


def test_a_dashboard_that_restarts_during_the_upload_gets_the_artifact_in_the_end(tmp_path, index, ingest):
    ingest.refuse_artifacts = [503, 502]
    job = Job(tmp_path, index, ingest, source=upload(ingest, tmp_path))
    assert job.run() == 0, job.output
    assert len(ingest.artifacts) == 1


def test_a_dashboard_without_room_is_a_full_disk(tmp_path, index, ingest):
    ingest.refuse_artifacts = [507]
    job = Job(tmp_path, index, ingest, source=upload(ingest, tmp_path))
    assert job.run() == 30, job.output
    assert job.result["reason"] == "DiskFull"


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(413, 16, "REPACK_DASHBOARD_MAX_ARTIFACT_BYTES"), (403, 1, "ingest token"), (404, 1, "run it again")],
)
def test_a_dashboard_that_refuses_says_what_to_do(tmp_path, index, ingest, status, code, words):
    ingest.refuse_artifacts = [status]
    job = Job(tmp_path, index, ingest, source=upload(ingest, tmp_path))
    assert job.run() == code, job.output
    assert words in job.result["hint"]


def test_an_order_that_cannot_be_read_is_told_to_the_kubelet(tmp_path, index, ingest):
    job = Job(tmp_path, index, ingest, source={"type": "Upload", "upload": {"key": "x"}})
    job.env["REPACK_ORDER"] = '{"uid": 3}'
    assert job.run() == 1
    assert "Traceback" not in job.output
    assert "REPACK_ORDER cannot be read" in job.result["message"]
    assert "images of one release" in job.result["hint"]


def test_a_dashboard_that_is_away_from_start_to_end_of_the_work_is_told_everything_later(tmp_path, index, ingest):
    package = a_package(tmp_path / "tiny.difypkg").read_bytes()
    source = {"type": "URL", "url": {"url": index.add_file("tiny.difypkg", package)}}
    with FakeDashboard() as gone:
        port = gone.port
    job = Job(tmp_path, index, ingest, source=source)
    job.env["REPACK_INGEST_URL"] = f"http://127.0.0.1:{port}"
    process = job.start()
    wait_until(lambda: index.asked_for("/packages/"), what="the download", seconds=20)
    with FakeDashboard(port) as back:
        output, _ = process.communicate(timeout=50)
        assert process.returncode == 0, output
        assert back.stages_seen[-1] == "Publish"
        assert len(back.artifacts) == 1
        assert back.events[0]["lines"][0]["n"] == 1


def test_a_signal_ends_the_worker_within_seconds_and_leaves_nothing(tmp_path, index, ingest):
    index.fault("tiny_sdk", Fault(drip_seconds=0.2))
    files = {"pyproject.toml": PYPROJECT, "uv.lock": a_lock(index, *index.wheels.values())}
    source = upload(ingest, tmp_path, **files)
    job = Job(tmp_path, index, ingest, source=source)
    process = job.start()
    wait_until(lambda: index.asked_for("/packages/"), what="the download to begin", seconds=20)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=5)
    assert process.returncode == 128 + signal.SIGTERM
    assert job.leftovers == []
    assert job.result["ok"] is False


def test_a_signal_during_the_verification_takes_the_children_along(tmp_path, index, ingest):
    index.add(a_wheel("tiny-sdk", source="import time; time.sleep(600)"))
    job = Job(tmp_path, index, ingest, source=upload(ingest, tmp_path))
    process = job.start()
    wait_until(lambda: _running(str(tmp_path).encode(), b"import importlib"), what="the import to run", seconds=30)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=5)
    assert process.returncode == 128 + signal.SIGTERM
    wait_until(lambda: not _running(str(tmp_path).encode()), what="the children to be gone", seconds=5)
    assert job.leftovers == []


def _running(*words: bytes) -> bool:
    """Tell whether a process other than this one has all these words in its command line."""
    return any(all(word in command for word in words) for pid, command in _processes() if pid != os.getpid())


def _processes() -> Iterator[tuple[int, bytes]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "cmdline").read_bytes()
            except OSError:
                continue


async def test_a_deadline_that_passes_is_named(tmp_path, index, ingest, monkeypatch):
    index.fault("tiny_sdk", Fault(drip_seconds=0.2))
    files = {"pyproject.toml": PYPROJECT, "uv.lock": a_lock(index, *index.wheels.values())}
    job = Job(tmp_path, index, ingest, source=upload(ingest, tmp_path, **files))
    for name, value in job.env.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    order = WorkOrder.model_validate_json(settings.order or "")
    shorter = order.spec.model_copy(update={"active_deadline_seconds": 2})  # the API allows no less than 30
    result = await work(order.model_copy(update={"spec": shorter}), settings)
    assert result.reason == Reason.DEADLINE_EXCEEDED
    assert job.leftovers == []


def test_without_an_order_it_says_who_runs_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "repack_worker"], env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "REPACK_ORDER" in done.stderr


def test_a_job_reads_no_descriptions_out_of_the_source():
    code = (
        "from repack_worker.__main__ import main; main()\n"
        "from repack_contract.order import WorkOrder\n"
        "print([name for name, field in WorkOrder.model_fields.items() if field.description])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"
