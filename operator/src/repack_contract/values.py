"""What a worker works with: plain values that cost a short command no start, where models of pydantic cost 150 ms.

Each is the model of the same name (`task.py`, `source.py`, `progress.py`) with what a worker needs of it, and is
written on the wire alike: `edges.py` turns one into the other. A test holds fields, defaults and bounds to those of the
models. Making one checks nothing; `checked` does.
"""

from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, field

from repack_contract.choices import Arch, LogLevel, Mode, SourceType, VerificationMethod
from repack_contract.phases import Stage, StageState

_T = TypeVar("_T", bound="Value")
_PLUGIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
HttpUrl = Annotated[str, Meta(pattern=r"^https?://[^\s]+$", max_length=2048)]


class Value(msgspec.Struct, frozen=True, rename="camel"):
    """Frozen; camelCase on the wire."""

    def wire(self) -> dict[str, Any]:
        """Return the JSON value without what is None, as the model of the same name gives it."""
        return dict(_without_none(msgspec.to_builtins(self)))

    def but(self: _T, **changes: Any) -> _T:
        """Return a copy with other values in some fields."""
        return msgspec.structs.replace(self, **changes)


def checked(value: _T) -> _T:
    """Return the value when it keeps the bounds of its fields, else raise `ValidationError`, which names one."""
    return msgspec.convert(value.wire(), type(value))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(part) for name, part in value.items() if part is not None}
    return [_without_none(part) for part in value] if isinstance(value, list) else value


class MarketplaceSource(Value, frozen=True):
    """A plugin of the Dify Marketplace; without a version the latest one."""

    author: Annotated[str, Meta(pattern=_PLUGIN_NAME, min_length=1, max_length=64)]
    name: Annotated[str, Meta(pattern=_PLUGIN_NAME, min_length=1, max_length=128)]
    version: Annotated[str, Meta(pattern=r"^[0-9][A-Za-z0-9.+-]*$", min_length=1, max_length=64)] | None = None


class GitHubSource(Value, frozen=True):
    """An asset of a GitHub release: of the latest one without a tag, its only .difypkg without a name."""

    repo: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", max_length=140)]
    tag: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/+-]*$", min_length=1, max_length=128)] | None = None
    asset: (
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*\.difypkg$", min_length=1, max_length=255)] | None
    ) = None


class UrlSource(Value, frozen=True):
    """A package at an address."""

    url: HttpUrl
    sha256: Annotated[str, Meta(pattern=r"^[a-f0-9]{64}$", max_length=64)] | None = None


class UploadSource(Value, frozen=True):
    """A package that was uploaded to the dashboard before."""

    key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", min_length=1, max_length=255)]


class Source(Value, frozen=True):
    """The plugin to repackage: `type`, and the one field of that name."""

    type: SourceType
    marketplace: MarketplaceSource | None = None
    github: GitHubSource | None = None
    url: UrlSource | None = None
    upload: UploadSource | None = None


class Target(Value, frozen=True):
    """One package to make."""

    arch: Arch


class PackageIndex(Value, frozen=True):
    """The package index (mirror) to ask in place of the public one, and further ones beside it."""

    url: HttpUrl | None = None
    extra_urls: Annotated[list[HttpUrl], Meta(max_length=8)] | None = field(default=None, name="extraURLs")


class Output(Value, frozen=True):
    """How the result is named."""

    suffix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+$", max_length=32)] = "offline"


class Spec(Value, frozen=True):
    """What the user wants, without what only the operator needs."""

    source: Source
    targets: Annotated[list[Target], Meta(min_length=1, max_length=3)]
    python: Annotated[str, Meta(pattern=r"^3\.[0-9]{1,2}$", max_length=8)] = "3.12"
    mode: Mode = Mode.REQUIREMENTS_ONLY
    dry_run: bool = False
    package_index: PackageIndex | None = None
    output: Output = field(default_factory=Output)


class PluginInfo(Value, frozen=True):
    """What the plugin's manifest says."""

    display_name: str | None = None
    author: str | None = None
    name: str | None = None
    version: str | None = None


class PlanTarget(Value, frozen=True):
    """What a dry run found for one target."""

    arch: Arch
    size_bytes: int | None = None
    over_limit: bool | None = None


class Plan(Value, frozen=True):
    """What a dry run found."""

    packages: int | None = None
    download_bytes: int | None = None
    builds: int | None = None
    warnings: list[str] | None = None
    targets: list[PlanTarget] | None = None


class Verification(Value, frozen=True):
    """The proof that a package installs without a network."""

    method: VerificationMethod
    passed: bool
    verified_at: datetime | None = None
    message: str | None = None


class Artifact(Value, frozen=True):
    """One finished package."""

    target: Arch
    name: str | None = None
    uri: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    wheels: int | None = None
    verification: Verification | None = None


class WorkResult(Value, frozen=True):
    """How an attempt ended; artifacts are listed whatever the outcome."""

    ok: bool
    reason: str | None = None
    message: str | None = None
    hint: str | None = None
    plugin: PluginInfo | None = None
    plan: Plan | None = None
    artifacts: list[Artifact] = field(default_factory=list)


class StageProgress(Value, frozen=True):
    """One stage of an attempt; `bytes_total` is None while nobody knows."""

    stage: Stage
    state: StageState = StageState.PENDING
    started_at: datetime | None = None
    finished_at: datetime | None = None
    bytes_done: int = 0
    bytes_total: int | None = None
    message: str | None = None


class Progress(Value, frozen=True, kw_only=True):
    """The whole progress of one attempt. Each tick replaces the one before, so that a lost one does no harm."""

    attempt: int
    tick: int
    stage: Stage | None = None
    stages: list[StageProgress] = field(default_factory=list)
    percent: int | None = None
    message: str | None = None
    plugin: PluginInfo | None = None
    updated_at: datetime


class LogLine(Value, frozen=True, kw_only=True):
    """One line of a worker's log, numbered from 1 in each attempt."""

    n: int
    ts: datetime
    level: LogLevel = "info"
    stage: Stage | None = None
    text: str
