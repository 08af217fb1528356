"""Processes of an earlier run that was killed: found by what was written down of them, and ended.

A process group is known by the id of its first process and the time that process was started; the boot id keeps
numbers of before a restart of the machine apart.
"""

import contextlib
import json
import os
import shutil
import signal
from pathlib import Path

_FILE = "process.json"
_PROC = Path("/proc")


def write_down(folder: Path, pid: int) -> None:
    """Write down the process (the first of its own session) that runs in a pod's folder."""
    facts = {"pid": pid, "started": _started(pid), "boot": _boot_id()}
    (folder / _FILE).write_text(json.dumps(facts))


def end_all(root: Path) -> list[str]:
    """End what still runs of the pods whose folders lie in `root`, remove the folders, return their names."""
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []
    for folder in folders:
        with contextlib.suppress(OSError, ValueError, KeyError):
            facts = json.loads((folder / _FILE).read_text())
            if facts["boot"] == _boot_id():
                _end_session(facts["pid"], not_before=facts["started"])
        shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in folders]


def _end_session(session: int, *, not_before: int) -> None:
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = _stat(int(entry.name))
            if int(fields[3]) == session and int(fields[19]) >= not_before:
                os.kill(int(entry.name), signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat that follow the name (which may hold spaces): state, ppid, pgrp, session."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _started(pid: int) -> int:
    try:
        return int(_stat(pid)[19])
    except (OSError, IndexError, ValueError):
        return 0


def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
