"""What nobody needs any more goes, after a time of grace that begins when it was first seen to be nobody's."""

import shutil
from collections.abc import Callable
from pathlib import Path

MARK = "orphaned"
"""A file in a folder that is nobody's; its age is what the grace is measured by."""


def sweep(root: Path, *, is_live: Callable[[Path], bool], now: float, grace_seconds: float) -> list[str]:
    """Remove the folders in `root` that have been nobody's for the whole time of grace; return their names.

    Args:
        root: the folder of folders; it may be absent.
        is_live: tells whether a folder still belongs to something.
        now: seconds of the epoch.
        grace_seconds: how long a folder stays after it was first seen to be nobody's.
    """
    removed = []
    for folder in root.iterdir() if root.is_dir() else ():
        mark = folder / MARK
        if is_live(folder):
            mark.unlink(missing_ok=True)
        elif not mark.exists():
            mark.touch()
        elif mark.stat().st_mtime <= now - grace_seconds:
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder.name)
    return removed
