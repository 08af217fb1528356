"""The matrices of claims in docs/ name tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT / "tests", ROOT / "dashboard" / "web" / "src")


@pytest.mark.parametrize("matrix", ["realtime-matrix.md", "worker-matrix.md"])
def test_every_test_that_the_matrix_names_is_there(matrix: str) -> None:
    text = (ROOT / "docs" / matrix).read_text(encoding="utf-8")
    named = re.findall(r"`([\w.]+\.(?:py|ts|tsx))::([^`]+)`", text)
    sources: dict[str, str] = {}
    for folder in FOLDERS:
        for path in [*folder.rglob("test_*.py"), *folder.rglob("*.test.ts*")]:
            sources[path.name] = sources.get(path.name, "") + path.read_text(encoding="utf-8")
    missing = [
        f"{file}::{name}"
        for file, name in named
        if (f"def {name}(" if file.endswith(".py") else f'"{name}"') not in sources.get(file, "")
    ]
    assert len(named) > 80
    assert missing == []
