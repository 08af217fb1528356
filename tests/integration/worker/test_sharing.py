"""Workers that share what they chose and built by way of the dashboard: a help that is checked, and never a need."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.dashboard import FakeDashboard
from fakes.index import FakeIndex, a_wheel
from fakes.plugins import PYPROJECT, a_lock
from fakes.processes import stop
from fakes.sources import an_sdist
from repack_worker.confinement import is_possible
from repack_worker.sealed import seal, unseal
from requirements import require
from worker_job import STARTED, Job, upload

SPY = """
import json
seen = []
for path in PATHS:
    try:
        seen.append(open(path).read())
    except OSError:
        pass
files[f"{module}/seen.json"] = json.dumps(seen).encode()
"""


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    with FakeIndex() as index:
        yield index


@pytest.fixture
def ingest() -> Iterator[FakeDashboard]:
    with FakeDashboard() as ingest:
        yield ingest


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    yield
    stop(STARTED)


@pytest.fixture
def work(tmp_path, index, ingest):
    """Run a worker with caches of its own; return it when it has ended well."""

    def run(name: str, *, files: dict[str, str], plan: bool = False, **env: str) -> Job:
        (tmp_path / name).mkdir()
        job = Job(tmp_path / name, index, ingest, source=upload(ingest, tmp_path, **files), dryRun=plan)
        job.env |= env
        assert job.run() == 0, job.output
        return job

    return run


@pytest.fixture
def source_plugin(index):
    """A plugin that needs a source to be built, and a wheel for that."""
    require(is_possible(), "builds are shared where the kernel keeps the token from them (Linux 5.19)")
    index.add(a_wheel("helper"))
    sdist = an_sdist("tiny-sdk", body="import helper", build_requires=("helper",))
    index.add(sdist)
    return {"pyproject.toml": PYPROJECT, "uv.lock": a_lock(index, sdist)}


def test_a_second_worker_builds_nothing(work, source_plugin, ingest):
    first = work("first", files=source_plugin)
    assert "Building tiny-sdk==1.0" in first.output
    second = work("second", files=source_plugin)
    assert "Building" not in second.output
    assert "tiny-sdk==1.0 was built by another worker" in second.output
    artifacts = [job.result["artifacts"][0]["sha256"] for job in (first, second)]
    assert artifacts[0] == artifacts[1]


def test_another_version_of_what_a_build_requires_is_another_build(work, source_plugin, index):
    work("first", files=source_plugin)
    index.add(a_wheel("helper", "2.0"))
    assert "Building tiny-sdk==1.0" in work("second", files=source_plugin).output


@pytest.mark.parametrize("poison", ["another wheel", "another content", "a path", "no json", "cut", "nested"])
def test_a_poisoned_entry_of_a_build_is_thrown_away(work, source_plugin, ingest, poison):
    first = work("first", files=source_plugin)
    [(key, entry)] = [(key, entry) for key, entry in ingest.memory.items() if key.startswith("builds/")]
    said = unseal(entry)
    other = a_wheel("tiny-other")
    ingest.wheels[other.sha256] = other.content
    ingest.memory[key] = {
        "another wheel": seal({"sha256": other.sha256, "filename": other.filename}),
        "another content": seal(said),
        "a path": seal(said | {"filename": "../../x-1.0-py3-none-any.whl"}),
        "no json": b"poison",
        "cut": entry[:-1],
        "nested": seal([[]])[:64] + b"\n" + b"[" * 100_000,
    }[poison]
    if poison == "another content":
        ingest.wheels[said["sha256"]] = b"poison"
    second = work("second", files=source_plugin)
    assert "Building tiny-sdk==1.0" in second.output
    assert second.result["artifacts"][0]["sha256"] == first.result["artifacts"][0]["sha256"]
    assert unseal(ingest.memory[key]) == said, "the right one is handed in again"


def test_plans_are_shared_and_a_poisoned_one_is_thrown_away(work, index, ingest):
    index.add(a_wheel("tiny-sdk"))
    files = {"requirements": "tiny-sdk\n"}
    work("first", files=files, plan=True)
    [(key, entry)] = [(key, entry) for key, entry in ingest.memory.items() if key.startswith("plans/")]
    asked = len(index.asked_for("/simple/"))
    assert "are remembered from an earlier run" in work("second", files=files, plan=True).output
    assert len(index.asked_for("/simple/")) == asked
    plan = unseal(entry)
    ingest.memory[key] = seal(plan | {"wheels": [plan["wheels"][0] | {"filename": "../../../x-1-py3-none-any.whl"}]})
    assert "are remembered" not in work("third", files=files, plan=True).output


def test_sharing_can_be_switched_off(work, source_plugin, ingest):
    work("first", files=source_plugin, REPACK_SHARED_RESULTS="false")
    assert ingest.memory == {}
    assert ingest.wheels, "downloads are shared all the same"


def test_without_a_dashboard_that_remembers_it_is_only_slower(work, source_plugin, ingest):
    ingest.forgets = 500
    assert "Building tiny-sdk==1.0" in work("first", files=source_plugin).output
    assert ingest.memory == {}


def test_a_build_cannot_read_the_token_with_which_builds_are_shared(work, index, ingest, tmp_path):
    require(is_possible(), "keeping files from a build needs Landlock (Linux 5.19)")
    paths = [str(tmp_path / "first" / "token"), "/proc/self/../1/environ"]
    sdist = an_sdist("tiny-sdk", body=SPY.replace("PATHS", repr(paths)))
    index.add(sdist)
    work("first", files={"pyproject.toml": PYPROJECT, "uv.lock": a_lock(index, sdist)})
    [wheel] = Path(tmp_path / "first").rglob("tiny_sdk-1.0-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert json.loads(archive.read("tiny_sdk/seen.json")) == []
