"""The objects by kind, namespace and name; a write gets the next version and is in SQLite before it is answered."""

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from repack_local.api.kinds import Key
from repack_local.api.statuses import Object
from repack_local.api.watching import HISTORY, Change, Entry, History

Listener = Callable[[Change], None]


class Storage:
    """What is stored. One writer: the event loop's thread.

    Args:
        path: SQLite file that keeps the objects, so that a second start has them; None keeps them in memory only.
        history: how many changes streams can resume over.
    """

    def __init__(self, path: Path | None = None, *, history: int = HISTORY) -> None:
        self._tables: dict[Key, dict[str, dict[str, Entry]]] = {}
        self._listeners: list[Listener] = []
        self._file = _open(path) if path else None
        self.version = self._load() if self._file else 0
        self.history = History(version=self.version, size=history)

    def close(self) -> None:
        """End the streams and close the file."""
        self.history.close()
        if self._file:
            self._file.close()

    def listen(self, listener: Listener) -> None:
        """Call `listener` after each write, in order."""
        self._listeners.append(listener)

    def get(self, key: Key, namespace: str, name: str) -> Entry | None:
        """Return an object; `namespace` is "" for cluster-wide kinds."""
        return self._tables.get(key, {}).get(namespace, {}).get(name)

    def entries(self, key: Key, namespace: str | None = None) -> list[Entry]:
        """Return the objects of a kind, of one namespace or of all (None), ordered by namespace and name."""
        table = self._tables.get(key, {})
        spaces = sorted(table) if namespace is None else [namespace]
        return [entry for space in spaces for _, entry in sorted(table.get(space, {}).items())]

    def put(self, key: Key, obj: Object, *, old: Entry | None) -> Entry:
        """Store an object with the next resource version; `obj` may be changed by no one afterwards."""
        self.version += 1
        metadata = obj["metadata"]
        entry = Entry.of(obj | {"metadata": metadata | {"resourceVersion": str(self.version)}})
        self._tables.setdefault(key, {}).setdefault(metadata.get("namespace", ""), {})[metadata["name"]] = entry
        self._keep(key, entry, keep=True)
        self._tell(Change(self.version, "MODIFIED" if old else "ADDED", key, old, entry))
        return entry

    def remove(self, key: Key, old: Entry, *, last: Object | None = None) -> Entry:
        """Remove an object; the event shows `last`, or the stored state, with the version of the removal."""
        self.version += 1
        obj = last or old.obj
        metadata = obj["metadata"]
        entry = Entry.of(obj | {"metadata": metadata | {"resourceVersion": str(self.version)}})
        del self._tables[key][metadata.get("namespace", "")][metadata["name"]]
        self._keep(key, entry, keep=False)
        self._tell(Change(self.version, "DELETED", key, old, entry))
        return entry

    def amend(self, key: Key, change: Callable[[Object], Object]) -> None:
        """Change how stored objects read, without a new version: for defaults that a schema got since."""
        for old in self.entries(key):
            new = change(old.obj)
            if new == old.obj:
                continue
            entry, metadata = Entry.of(new), new["metadata"]
            self._tables[key][metadata.get("namespace", "")][metadata["name"]] = entry
            self._keep(key, entry, keep=True)

    def _tell(self, change: Change) -> None:
        self.history.append(change)
        for listener in self._listeners:
            listener(change)

    def _keep(self, key: Key, entry: Entry, *, keep: bool) -> None:
        if self._file is None:
            return
        metadata = entry.obj["metadata"]
        place = (*key, metadata.get("namespace", ""), metadata["name"])
        with self._file:
            if keep:
                self._file.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", (*place, entry.raw))
            else:
                where = "api_group = ? AND plural = ? AND namespace = ? AND name = ?"
                self._file.execute(f"DELETE FROM objects WHERE {where}", place)  # noqa: S608 - a constant
            self._file.execute("UPDATE version SET value = ?", (self.version,))

    def _load(self) -> int:
        assert self._file is not None  # noqa: S101 - the caller asked
        with closing(self._file.execute("SELECT api_group, plural, namespace, name, body FROM objects")) as rows:
            for group, plural, namespace, name, body in rows:
                entry = Entry(json.loads(body), bytes(body))
                self._tables.setdefault((group, plural), {}).setdefault(namespace, {})[name] = entry
        with closing(self._file.execute("SELECT value FROM version")) as row:
            return int(row.fetchone()[0])


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    # A write that was answered survives the end of this process; a power cut may lose the last ones, never the file.
    for statement in _SETUP:
        connection.execute(statement)
    connection.commit()
    return connection


_SETUP: Iterable[str] = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "CREATE TABLE IF NOT EXISTS objects (api_group TEXT, plural TEXT, namespace TEXT, name TEXT, body BLOB,"
    " PRIMARY KEY (api_group, plural, namespace, name))",
    "CREATE TABLE IF NOT EXISTS version (value INTEGER)",
    "INSERT INTO version SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM version)",
)
