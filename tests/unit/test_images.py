"""The images install what requirements.lock pins, and nothing else."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("operator", "worker", "dashboard")


def _entries(path: Path) -> dict[str, set[str]]:
    """Return the pins of a lock, each with its hashes."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    blocks = re.split(r"\n(?=\S)", "\n".join(lines))
    return {
        block.split("\\")[0].strip(): set(re.findall(r"sha256:[0-9a-f]{64}", block))
        for block in blocks
        if block.strip()
    }


@pytest.mark.parametrize("part", PARTS)
def test_the_lock_of_an_image_is_a_part_of_the_whole_lock(part):
    whole, mine = _entries(ROOT / "requirements.lock"), _entries(ROOT / f"images/{part}.lock")
    assert mine
    assert {pin for pin, hashes in mine.items() if whole.get(pin) != hashes} == set()


def test_the_build_tools_are_pinned_and_hashed():
    pins = _entries(ROOT / "images/build.lock")
    assert {pin.partition("==")[0] for pin in pins} >= {"uv", "hatchling"}
    assert all(pins.values())


def test_the_images_carry_nothing_of_the_other_parts():
    names = {part: {pin.partition("==")[0] for pin in _entries(ROOT / f"images/{part}.lock")} for part in PARTS}
    assert not {"kubernetes", "kopf", "fastapi"} & names["worker"]
    assert not {"fastapi", "uvicorn", "uv"} & names["operator"]
    assert not {"kopf", "uv"} & names["dashboard"]


def test_every_image_runs_as_the_account_that_pods_demand():
    text = (ROOT / "Dockerfile").read_text("utf-8")
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    users = {stage.split()[2]: re.findall(r"^USER (\S+)", stage, flags=re.MULTILINE) for stage in stages}
    assert users["base"] == ["65532:65532"]
    assert users["worker-build"][-1] == "65532:65532"
    assert all(not users[part] for part in PARTS)  # as their base has it


@pytest.mark.parametrize("part", PARTS)
def test_an_image_has_all_that_its_part_asks_for(part):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"][part]]
    names = {re.match(r"[A-Za-z0-9._-]+", text)[0].lower() for text in asked}
    pinned = {pin.partition("==")[0] for pin in _entries(ROOT / f"images/{part}.lock")}
    assert names - pinned == set(), "run `make image-locks`"
