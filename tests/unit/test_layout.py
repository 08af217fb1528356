"""The folder `operator/` must never shadow Python's module of that name (code.md 6.1)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (ROOT / "operator" / "src", ROOT / "dashboard" / "server" / "src")


@pytest.mark.parametrize("folder", ["operator", "dashboard"])
def test_a_project_folder_holds_no_python_file_directly(folder: str):
    assert list((ROOT / folder).glob("*.py")) == []


def test_python_started_at_the_root_finds_its_own_operator_module():
    code = "import operator, collections; print(operator.__file__ or operator.__name__)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not answer.stdout.strip().startswith(str(ROOT))


def test_no_module_is_longer_than_one_can_read_in_a_sitting():
    too_long = {
        str(path.relative_to(ROOT)): lines
        for source in SOURCES
        for path in source.rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert too_long == {}


def test_no_module_has_a_name_that_says_nothing():
    names = {"utils.py", "helpers.py", "common.py", "manager.py", "misc.py"}
    assert [path for source in SOURCES for path in source.rglob("*.py") if path.name in names] == []
