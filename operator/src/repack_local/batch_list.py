"""A list of plugins and what became of its lines: pure reading, and the ledger that makes a list resumable."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.values import WorkResult
from repack_local.wishes import Wish
from repack_worker.archive import sha256_of
from repack_worker.settings import Settings
from repack_worker.sources import FileSource, PluginSource

LEDGER = "dify-repack-batch.json"
"""In the result folder: what was made of which source, so that it is not made again."""
MAX_LINES = 10_000
_COMMENT = re.compile(r"(^|\s)#.*$")
_CHECKSUM = re.compile(r"\s+sha256:([a-f0-9]{64})$")


@dataclass(frozen=True)
class Line:
    """One line that names a source."""

    number: int
    text: str
    sha256: str | None = None


def read_list(text: str) -> list[Line]:
    """Return the lines that name something; a `#` at the beginning or after a space begins a comment."""
    lines = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _COMMENT.sub("", raw).strip().removeprefix("\ufeff")
        if not line:
            continue
        checksum = _CHECKSUM.search(line)
        lines.append(Line(number, line[: checksum.start()] if checksum else line, checksum[1] if checksum else None))
    if not lines:
        raise RepackError(Reason.INVALID_SPEC, "The list names no plugin.", hint="Write one source a line.")
    if len(lines) > MAX_LINES:
        raise RepackError(
            Reason.INVALID_SPEC,
            f"The list has {len(lines):,} lines.",
            hint=f"Split it: at most {MAX_LINES:,} are read.",
        )
    return lines


def key_of(wish: Wish, source: PluginSource, settings: Settings) -> str:
    """Return what stands for exactly this work: the source as pinned, and everything that decides the result.

    A file counts by its content. Reads it, so call it in a thread.
    """
    named = sha256_of(source.path) if isinstance(source, FileSource) and source.path.is_file() else repr(source)
    decisive = ("targets", "python", "mode", "output", "packageIndex")
    spec = {name: part for name, part in wish.spec.wire().items() if name in decisive}
    parts = [named, spec, settings.index_url, settings.verify]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Ledger:
    """What was made, by `key_of`; written whole after each entry, so that Ctrl-C loses nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / LEDGER
        self._entries: dict[str, dict[str, Any]] = self._read()

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            entries = json.loads(self._file.read_text("utf-8"))["made"]
        except (OSError, ValueError, KeyError, TypeError):  # none yet, or not ours: everything is made
            return {}
        return entries if isinstance(entries, dict) else {}

    def find(self, key: str) -> WorkResult | None:
        """Return the result of what was made before, when its files are still there with their checksums."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        try:
            result = msgspec.convert(entry["result"], WorkResult)
            there = [self._folder / str(artifact.name) for artifact in result.artifacts]
            same = all(sha256_of(path) == it.sha256 for path, it in zip(there, result.artifacts, strict=True))
        except (OSError, ValueError, KeyError):
            return None
        return result if same and there else None

    def keep(self, key: str, source: str, result: WorkResult) -> None:
        """Note what was made."""
        self._entries[key] = {"source": source, "result": result.wire()}
        content: Mapping[str, Any] = {"version": 1, "made": self._entries}
        draft = self._file.with_name(f".{LEDGER}.part")
        draft.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
        draft.replace(self._file)
