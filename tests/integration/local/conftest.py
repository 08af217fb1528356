"""The whole product on this machine, with a package index of our own beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.index import FakeIndex, a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from local_mode import RunningMode, running_mode

WHEEL = a_wheel("tiny-sdk", "1.0", padding=20_000)


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    with FakeIndex() as index:
        index.add(WHEEL)
        yield index


@pytest.fixture
def plugin_url(index: FakeIndex, tmp_path: Path) -> str:
    """Address of a plugin with a lock file: only the stage Download asks for its one wheel."""
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT, uv__lock=a_lock(index, WHEEL))
    return index.add_file("tiny.difypkg", a_package(tmp_path / "tiny.difypkg", files).read_bytes())


@pytest.fixture
def mode(tmp_path: Path, index: FakeIndex) -> Iterator[RunningMode]:
    """The embedded mode, its home inside somebody's Python project, as that of `make demo` is inside our clone."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "around"\nversion = "1"\nrequires-python = ">=3.9"\n')
    with running_mode(tmp_path / "home", REPACK_INDEX_URL=index.url) as mode:
        yield mode
