"""What the stages hand on to each other during one attempt."""

from dataclasses import dataclass, field
from pathlib import Path

from repack_contract.phases import Stage
from repack_contract.task import Arch, Artifact, PackageIndex, Spec, Verification
from repack_worker.fetch import Fetcher
from repack_worker.plan import Plan, Wheel
from repack_worker.plugin import Plugin
from repack_worker.report import Journal
from repack_worker.settings import Settings
from repack_worker.sources import Fetched, PluginSource
from repack_worker.store import ArtifactStore


@dataclass
class TargetWork:
    """One target of the task: what is known of it so far."""

    arch: Arch
    plan: Plan | None = None
    files: dict[Wheel, Path] = field(default_factory=dict)
    package: Path | None = None
    checksum: str = ""
    """The daemon's checksum of the package."""
    verification: Verification | None = None


@dataclass
class Work:
    """One attempt."""

    spec: Spec
    settings: Settings
    source: PluginSource
    store: ArtifactStore
    journal: Journal
    fetcher: Fetcher
    folder: Path
    """Its own, empty at the start, removed at the end."""
    targets: list[TargetWork] = field(default_factory=list)
    fetched: Fetched | None = None
    plugin: Plugin | None = None
    warnings: list[str] = field(default_factory=list)
    """What no target alone is to be told of: above all what the plugin will want from the network when it runs."""
    artifacts: list[Artifact] = field(default_factory=list)
    seconds: dict[Stage, float] = field(default_factory=dict)

    @property
    def indexes(self) -> list[str]:
        """Package indexes to ask, the main one first; empty for uv's own default."""
        index = self.spec.package_index or PackageIndex()
        main = index.url or self.settings.index_url
        return [*([main] if main else []), *(index.extra_urls or [])]

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
