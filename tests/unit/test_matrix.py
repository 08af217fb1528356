"""Tests that a document names are there, so that no claim outlives its test."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT / "tests", ROOT / "dashboard" / "web" / "src")
_NAMED = re.compile(r"`([\w.]+\.(?:py|ts|tsx))::([^`]+)`")
NAMED = {path.name: _NAMED.findall(path.read_text(encoding="utf-8")) for path in sorted(ROOT.glob("docs/*.md"))}


@cache
def sources() -> dict[str, str]:
    """Return the text of all test files by the last part of their name."""
    texts: dict[str, str] = {}
    for folder in FOLDERS:
        for path in [*folder.rglob("*.py"), *folder.rglob("*.test.ts*")]:
            texts[path.name] = texts.get(path.name, "") + path.read_text(encoding="utf-8")
    return texts


@pytest.mark.parametrize("document", [name for name, tests in NAMED.items() if tests])
def test_every_test_that_a_document_names_is_there(document: str) -> None:
    missing = [
        f"{file}::{name}"
        for file, name in NAMED[document]
        if (f"def {name}(" if file.endswith(".py") else f'"{name}"') not in sources().get(file, "")
    ]
    assert missing == []


MATRICES = ["operator-matrix.md", "page-features.md", "realtime-matrix.md", "worker-matrix.md"]


@pytest.mark.parametrize("document", MATRICES)
def test_a_matrix_names_a_test_for_nearly_every_line(document: str) -> None:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert sum("`::" in row or "::" in row for row in rows) > 0.8 * len(rows)
