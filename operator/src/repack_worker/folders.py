"""Folders of our own: what uv may see above them, and removing those in which somebody else's code wrote."""

import contextlib
import os
import shutil
import stat
from pathlib import Path


def end_search_of_uv(folder: Path) -> None:
    """Let uv, when it works below a folder, look for settings, a project and a workspace no further up than here.

    It looks in every folder above and stops at the first pyproject.toml with such a table. Above a daemon's folder
    there are none; above ours there may be anybody's, which would decide, or cannot be read under Landlock.
    """
    (folder / "pyproject.toml").write_text("[tool.uv]\n", "utf-8")


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, also what its writer has closed by its mode; never follow a link."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        return
    _open(folder)
    for place, names, _ in os.walk(folder):  # from above: a folder is opened before it is entered
        for name in names:
            _open(Path(place, name))
    shutil.rmtree(folder, ignore_errors=True)


def _open(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(folder.lstat().st_mode):
            folder.chmod(stat.S_IRWXU)
