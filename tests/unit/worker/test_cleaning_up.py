"""Nothing is left of work that failed: neither what still runs nor what somebody closed against us."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from repack_worker.folders import remove_tree
from repack_worker.threads import together


async def test_the_first_failure_ends_the_others_and_waits_for_them():
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            ended.append("slow")

    async def fails() -> None:
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        await together([slow(), fails()])
    assert ended == ["slow"]


AS_NOBODY = """
import os, sys
from pathlib import Path
from repack_worker.folders import remove_tree
os.setgid(65534)
os.setuid(65534)
remove_tree(Path(sys.argv[1]))
"""
"""Imports first: that account cannot read where our modules lie."""


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A folder that every account may enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        yield Path(place)


def test_a_folder_that_its_writer_closed_is_removed_and_no_link_is_followed(open_place):
    folder, kept = open_place / "work", open_place / "kept"
    (folder / "closed" / "inner").mkdir(parents=True)
    (folder / "closed" / "inner" / "file").write_text("x")
    kept.mkdir(mode=0o500)
    (folder / "link").symlink_to(kept)
    if os.getuid() == 0:  # who may enter everything anyway
        for path in (folder, *folder.rglob("*"), kept):
            os.chown(path, 65534, 65534)
    (folder / "closed" / "inner").chmod(0)
    (folder / "closed").chmod(0)
    if os.getuid() == 0:
        subprocess.run([sys.executable, "-c", AS_NOBODY, str(folder)], check=True)
    else:
        remove_tree(folder)
    assert not folder.exists()
    assert kept.stat().st_mode & 0o777 == 0o500
