"""Lock files name packages, versions and hashes, never where to fetch them: that is the installer's own setting."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_python_dependency_is_pinned_and_hashed():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    pins = [entry for entry in entries if entry.strip()]
    assert pins
    for pin in pins:
        assert re.match(r"[a-z0-9.-]+(\[[a-z0-9,-]+\])?==\S+", pin), pin
        assert "--hash=sha256:" in pin, pin


def test_the_python_lock_names_no_index():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    assert "--extra-index" not in text


def test_the_npm_lock_names_no_registry_and_keeps_every_hash():
    packages = json.loads((ROOT / "dashboard/web/package-lock.json").read_text(encoding="utf-8"))["packages"]
    fetched = {name: entry for name, entry in packages.items() if name and not entry.get("link")}
    assert fetched
    assert [name for name, entry in fetched.items() if "resolved" in entry] == []
    assert [name for name, entry in fetched.items() if "integrity" not in entry and not entry.get("inBundle")] == []
