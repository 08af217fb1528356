"""Where what is: the names below the folder, or below the bucket's prefix, in which a dashboard keeps everything.

`uploads/<id>/package`, `tasks/<uid>/<attempt>/…`, `wheels/<first two>/<sha256>`, `memory/<scope>/<kind>/<key>`. No name
that a user chose becomes a path: ids are our own, uids and namespaces are the cluster's, the rest is numbers, hashes
and the fixed names of targets.
"""

import re

UPLOADS = "uploads"
TASKS = "tasks"
WHEELS = "wheels"
MEMORY = "memory"
LOG = "log.ndjson"
COMPLETE = "complete"
"""Beside a log: the whole one is there."""
PROGRESS = "progress.json"
RESULT = "result.json"
PACKAGE_SUFFIX = ".difypkg"
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


def task_part(uid: str) -> str:
    """Return the name of a task's folder.

    Raises:
        ValueError: that is no uid.
    """
    if not _UID.fullmatch(uid):
        raise ValueError(f"not a uid: {uid!r}")
    return uid


def task(uid: str) -> str:
    """Return the folder of a task."""
    return f"{TASKS}/{task_part(uid)}"


def attempt(uid: str, number: int) -> str:
    """Return the folder of an attempt."""
    return f"{task(uid)}/{int(number)}"


def upload(number: str) -> str:
    """Return the key of an uploaded package."""
    return f"{UPLOADS}/{number}/package"


def wheel(sha256: str) -> str:
    """Return the key of a shared wheel."""
    return f"{WHEELS}/{sha256[:2]}/{sha256}"


def remembered(scope: str, kind: str, key: str) -> str:
    """Return the key of what workers remember for each other."""
    return f"{MEMORY}/{scope}/{kind}/{key}"


def facts(key: str) -> str:
    """Return the key of the JSON that says what a package is; it is written last."""
    return f"{key}.json"
