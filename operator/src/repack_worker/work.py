"""What the stages hand on to each other during one attempt."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from repack_contract.choices import Arch
from repack_contract.errors import RepackError
from repack_contract.phases import Stage
from repack_contract.reasons import FailureClass, Reason
from repack_contract.values import Artifact, PackageIndex, Spec
from repack_worker.fetch import Fetcher
from repack_worker.guard import NetworkGuard
from repack_worker.index_access import IndexAccess
from repack_worker.plan import Plan, SourceDist, Wheel
from repack_worker.plugin import Plugin
from repack_worker.report import Journal
from repack_worker.rewrite import wheels_of
from repack_worker.settings import Settings
from repack_worker.signature import InputSignature
from repack_worker.sources import Fetched, PluginSource
from repack_worker.store import ArtifactStore

if TYPE_CHECKING:
    from repack_worker.object_wheels import ObjectWheels
    from repack_worker.shared_cache import SharedCache
    from repack_worker.verify import Proof

_OF_A_TARGET = {FailureClass.USER, FailureClass.ARTIFACT}


class Built(Struct, frozen=True):
    """A wheel of our own making."""

    source: SourceDist
    wheel: Wheel
    path: Path


@dataclass
class TargetWork:
    """One target of the task: what is known of it so far."""

    arch: Arch
    plans: tuple[Plan, ...] = ()
    """One for each of its CPUs. Once Build is done they hold wheels alone."""
    files: dict[Wheel, Path] = field(default_factory=dict)
    built: tuple[Built, ...] = ()
    package: Path | None = None
    checksum: str = ""
    """The daemon's checksum of the package."""
    sha256: str = ""
    """That of the file."""
    proof: "Proof | None" = None
    warnings: list[str] = field(default_factory=list)
    failure: RepackError | None = None
    """Why there will be no package; the other targets go on."""

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        """The wheels of all its CPUs, each once."""
        return wheels_of(self.plans)

    @property
    def the_package(self) -> Path:
        """The package, once Pack has written it."""
        assert self.package is not None  # noqa: S101 - the order of the stages
        return self.package


@dataclass
class Work:
    """One attempt."""

    spec: Spec
    settings: Settings
    source: PluginSource
    store: ArtifactStore
    journal: Journal
    fetcher: Fetcher
    guard: NetworkGuard
    """By which uv and git get to the network."""
    folder: Path
    """Its own, empty at the start, removed at the end."""
    targets: list[TargetWork] = field(default_factory=list)
    shared: "SharedCache | None" = None
    """The dashboard's wheel cache, where there is a dashboard."""
    bucket: "ObjectWheels | None" = None
    """A bucket of wheels, asked in its place where one is set."""
    sources: dict[SourceDist, Path] = field(default_factory=dict)
    """The source archives that Download brought."""
    fetched: Fetched | None = None
    signature: InputSignature | None = None
    """What the plugin's own signature was worth."""
    plugin: Plugin | None = None
    warnings: list[str] = field(default_factory=list)
    """What no target alone is to be told of: above all what the plugin will want from the network when it runs."""
    artifacts: list[Artifact] = field(default_factory=list)
    seconds: dict[Stage, float] = field(default_factory=dict)

    @property
    def live(self) -> list[TargetWork]:
        """The targets that have not failed."""
        return [target for target in self.targets if target.failure is None]

    @contextlib.contextmanager
    def attempting(self, target: TargetWork) -> Iterator[None]:
        """Let a target drop out by a failure of its own kind; raise when none is left, and whatever is not its own.

        A network that is down or a full disk is nobody's own: it ends the attempt, and the operator tries again.
        """
        try:
            yield
        except RepackError as error:
            if error.facts.failure_class not in _OF_A_TARGET or len(self.targets) == 1:
                raise
            target.failure = error
            self.journal.say(f"{target.arch.value} drops out: {error.reason.value}: {error.message}", "error")
            if not self.live:
                raise RepackError(*self.failed()) from error

    def failed(self) -> tuple[Reason, str]:
        """Return reason and message of the targets that failed: the reason of the first one, all of them named."""
        failures = [(target.arch.value, target.failure) for target in self.targets if target.failure]
        message = "; ".join(f"target {arch}: {error.message}" for arch, error in failures)
        return failures[0][1].reason, message

    @cached_property
    def access(self) -> IndexAccess:
        """Credentials of package indexes."""
        return IndexAccess(self.settings, self.folder)

    @property
    def indexes(self) -> list[str | None]:
        """Package indexes to ask, the main one first, None where it is uv's own; empty where there is only that one."""
        index = self.spec.package_index or PackageIndex()
        main = index.url or self.settings.index_url
        return [main, *(index.extra_urls or [])] if main or index.extra_urls else []

    @property
    def mirror(self) -> str | None:
        """Index whose files are taken in place of those that a lock names."""
        index = self.spec.package_index
        return (index.url if index else None) or self.settings.index_url

    @property
    def the_plugin(self) -> Plugin:
        """The plugin, once Fetch has read it."""
        assert self.plugin is not None  # noqa: S101 - the order of the stages
        return self.plugin
