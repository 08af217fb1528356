"""Fixtures of the worker's tests: a package index of our own, settings with short patience, an attempt to run."""

import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fakes.index import FakeIndex
from repack_contract.choices import Arch, SourceType
from repack_contract.values import LogLine, PackageIndex, Progress, Source, Spec, Target, UrlSource, WorkResult
from repack_worker.attempt import Attempt
from repack_worker.report import Journal
from repack_worker.settings import Settings
from repack_worker.sources import FileSource
from repack_worker.store import FolderStore

OUR_PYTHON = "{}.{}".format(*sys.version_info[:2])
"""Tests plan for and verify with the interpreter that runs them: it is there on every machine."""


@dataclass
class Listener:
    """A reporter that remembers."""

    states: list[Progress] = field(default_factory=list)
    lines: list[LogLine] = field(default_factory=list)

    def progress(self, progress: Progress) -> None:
        self.states.append(progress)

    def log(self, line: LogLine) -> None:
        self.lines.append(line)

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    with FakeIndex() as index:
        yield index


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        work_dir=tmp_path / "work",
        cache_dir=tmp_path / "cache",
        python=Path(sys.executable),
        allow_private_addresses=True,  # the servers of tests are on this machine
        stall_seconds=1,
        connect_timeout_seconds=2,
        download_attempts=2,
        resolve_timeout_seconds=30,
    )


@pytest.fixture
def listener() -> Listener:
    return Listener()


Packer = Callable[..., Awaitable[WorkResult]]


@pytest.fixture
def pack(tmp_path: Path, settings: Settings, index: FakeIndex, listener: Listener) -> Packer:
    """Run a whole attempt on a file; the result's folder is `tmp_path / "out"`."""

    async def run(package: Path, *, source: Any = None, settings: Settings = settings, **spec: Any) -> WorkResult:
        folder = tmp_path / "attempt"
        folder.mkdir()
        attempt = Attempt(
            spec=a_spec(index, **spec),
            settings=settings,
            source=source or FileSource(package),
            store=FolderStore(tmp_path / "out"),
            journal=Journal(attempt=1, reporters=[listener]),
            folder=folder,
        )
        return await attempt.run()

    return run


def a_spec(index: FakeIndex, **changes: Any) -> Spec:
    fields: dict[str, Any] = {
        "source": Source(type=SourceType.URL, url=UrlSource(url="http://files.test/x.difypkg")),
        "targets": [Target(arch=Arch.AMD64)],
        "python": OUR_PYTHON,
        "package_index": PackageIndex(url=index.url),
    }
    return Spec(**{**fields, **changes})
