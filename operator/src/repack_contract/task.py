"""The RepackageTask: the one definition, from which the CRD is generated (`schema.py`).

`json_schema_extra` carries what JSON Schema lacks: CEL rules (`x-kubernetes-validations`) and list keys. The rules of
the API server are repeated for clusters before 1.25, which drop them silently: `check_spec` in `spec_rules.py`.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from repack_contract.phases import Phase, Stage
from repack_contract.wire import Model, StrictModel, Time

INT32: JsonDict = {"format": "int32"}
INT64: JsonDict = {"format": "int64"}


def _rules(*pairs: tuple[str, str]) -> JsonDict:
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


def _list_map(key: str) -> JsonDict:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


class Arch(StrEnum):
    """What a package is made for: linux/amd64, linux/arm64, or both in one file."""

    AMD64 = "amd64"
    ARM64 = "arm64"
    UNIVERSAL = "universal"


class SourceType(StrEnum):
    """Where a plugin comes from."""

    MARKETPLACE = "Marketplace"
    GITHUB = "GitHub"
    URL = "URL"
    UPLOAD = "Upload"


class Mode(StrEnum):
    """How the dependencies are written (repackaging.md 6.1, step 6)."""

    REQUIREMENTS_ONLY = "RequirementsOnly"
    DUAL = "Dual"


class DesiredState(StrEnum):
    """What the user wants of the task now."""

    ACTIVE = "Active"
    SUSPENDED = "Suspended"
    CANCELLED = "Cancelled"


class VerificationMethod(StrEnum):
    """How the offline install was really verified; the first two are enforced by the kernel."""

    NETWORK_NAMESPACE = "NetworkNamespace"
    SECCOMP_FILTER = "SeccompFilter"
    OFFLINE_FLAGS = "OfflineFlags"
    CROSS_INSTALL = "CrossInstall"


_HTTP_URL = r"^https?://[^\s]+$"
_PLUGIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
HttpUrl = Annotated[str, Field(max_length=2048, pattern=_HTTP_URL)]


class MarketplaceSource(StrictModel):
    """A plugin of the Dify Marketplace."""

    author: str = Field(min_length=1, max_length=64, pattern=_PLUGIN_NAME)
    name: str = Field(min_length=1, max_length=128, pattern=_PLUGIN_NAME)
    version: str | None = Field(default=None, min_length=1, max_length=64, pattern=r"^[0-9][A-Za-z0-9.+-]*$")
    """absent: the latest one, looked up when the task runs"""


class GitHubSource(StrictModel):
    """An asset of a GitHub release."""

    repo: str = Field(max_length=140, pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$")
    tag: str | None = Field(default=None, min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/+-]*$")
    """absent: the latest release, looked up when the task runs"""
    asset: str | None = Field(
        default=None, min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*\.difypkg$"
    )
    """absent: the release's only .difypkg"""


class UrlSource(StrictModel):
    """A package at an address."""

    url: HttpUrl
    sha256: str | None = Field(default=None, pattern=r"^[a-f0-9]{64}$", max_length=64)
    """Checked after the download, when given."""


class UploadSource(StrictModel):
    """A package that was uploaded to the dashboard before."""

    key: str = Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """As the upload was answered."""


class Source(StrictModel):
    """The plugin to repackage: `type`, and the one field of that name."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            *(
                (f"(self.type == '{kind}') == has(self.{kind.lower()})",
                 f"source.{kind.lower()} must be set exactly when type is {kind}")
                for kind in ("Marketplace", "GitHub", "URL", "Upload")
            )
        )
    )  # fmt: skip

    type: SourceType = Field(json_schema_extra={"maxLength": 16})
    marketplace: MarketplaceSource | None = None
    github: GitHubSource | None = None
    url: UrlSource | None = None
    upload: UploadSource | None = None


class Target(StrictModel):
    """One package to make."""

    arch: Arch = Field(json_schema_extra={"maxLength": 16})


class PackageIndex(StrictModel):
    """The package index (mirror) to ask in place of the public one."""

    url: HttpUrl | None = None
    extra_urls: list[HttpUrl] | None = Field(
        default=None, alias="extraURLs", max_length=8, json_schema_extra={"x-kubernetes-list-type": "set"}
    )


class Output(StrictModel):
    """How the result is named."""

    suffix: str = Field(default="offline", max_length=32, pattern=r"^[A-Za-z0-9_-]+$")


class RetryPolicy(StrictModel):
    """Further attempts after failures that another attempt may mend."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            ("self.maxBackoffSeconds >= self.backoffSeconds",
             "retry.maxBackoffSeconds must be >= retry.backoffSeconds")
        )
    )  # fmt: skip

    limit: int = Field(default=2, ge=0, le=10, json_schema_extra=INT32)
    backoff_seconds: int = Field(default=10, ge=0, le=3600, json_schema_extra=INT32)
    max_backoff_seconds: int = Field(default=300, ge=0, le=86400, json_schema_extra=INT32)


class Spec(StrictModel):
    """What the user wants. What decides the result is immutable: another wish is another task."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            *((f"self.{field} == oldSelf.{field}", f"spec.{field} is immutable")
              for field in ("source", "targets", "python", "mode", "dryRun")),
            ("has(self.packageIndex) == has(oldSelf.packageIndex) && "
             "(!has(self.packageIndex) || self.packageIndex == oldSelf.packageIndex)",
             "spec.packageIndex is immutable"),
        )
    )  # fmt: skip

    source: Source
    targets: list[Target] = Field(min_length=1, max_length=3, json_schema_extra=_list_map("arch"))
    """one artifact per entry: linux/amd64, linux/arm64 or universal; one Job per attempt makes and verifies them all"""
    python: str = Field(default="3.12", max_length=8, pattern=r"^3\.[0-9]{1,2}$")
    mode: Mode = Field(default=Mode.REQUIREMENTS_ONLY, json_schema_extra={"maxLength": 16})
    dry_run: bool = False
    """the Job stops after the stage Plan and reports status.plan; the task succeeds without artifacts"""
    package_index: PackageIndex | None = None
    output: Output = Field(default_factory=Output, json_schema_extra={"default": {}})
    desired_state: DesiredState = Field(
        default=DesiredState.ACTIVE,
        json_schema_extra={
            "maxLength": 16,
            **_rules(
                ("oldSelf != 'Cancelled' || self == 'Cancelled'",
                 "a cancelled task cannot be reactivated; create a new one")
            ),
        },
    )  # fmt: skip
    priority: int = Field(default=0, ge=-1000, le=1000, json_schema_extra=INT32)
    # The default is written whole: the API server evaluates the rule on it before nested defaults are filled in.
    retry: RetryPolicy = Field(
        default_factory=RetryPolicy,
        json_schema_extra={"default": {"limit": 2, "backoffSeconds": 10, "maxBackoffSeconds": 300}},
    )
    active_deadline_seconds: int = Field(default=1800, ge=30, le=86400, json_schema_extra=INT64)
    pending_deadline_seconds: int = Field(default=600, ge=10, le=86400, json_schema_extra=INT64)
    ttl_seconds_after_finished: int | None = Field(default=None, ge=0, le=31536000, json_schema_extra=INT32)
    profile: str | None = Field(default=None, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    """name of an operator-side runtime profile (image, resources, nodeSelector, SA); never raw pod fields"""


class JobReference(Model):
    """The Job of the current attempt."""

    name: str | None = None
    uid: str | None = None


class PluginInfo(Model):
    """What the plugin's manifest says."""

    display_name: str | None = Field(default=None, max_length=256)
    author: str | None = None
    name: str | None = None
    version: str | None = None


class ProgressCopy(Model):
    """a copy for kubectl users of what the worker told the dashboard; no decision depends on it."""

    percent: int | None = Field(default=None, ge=0, le=100)
    step: Stage | None = Field(default=None, json_schema_extra={"maxLength": 16})
    message: str | None = Field(default=None, max_length=1024)
    updated_at: Time | None = None


class PlanTarget(Model):
    """What a dry run found for one target."""

    arch: Arch = Field(json_schema_extra={"maxLength": 16})
    size_bytes: int | None = Field(default=None, ge=0, json_schema_extra=INT64)
    over_limit: bool | None = None
    """sizeBytes is above maxPackageBytes"""


class Plan(Model):
    """what a dry run found; the log has it package by package."""

    packages: int | None = Field(default=None, ge=0, json_schema_extra=INT32)
    """number of packages, all targets together"""
    download_bytes: int | None = Field(default=None, ge=0, json_schema_extra=INT64)
    builds: int | None = Field(default=None, ge=0, json_schema_extra=INT32)
    """number of packages without a wheel that must be built"""
    warnings: list[Annotated[str, Field(max_length=256)]] | None = Field(default=None, max_length=16)
    targets: list[PlanTarget] | None = Field(default=None, max_length=3, json_schema_extra=_list_map("arch"))


class Verification(Model):
    """The proof that a package installs without a network."""

    method: VerificationMethod = Field(json_schema_extra={"maxLength": 32})
    """how the offline install was really verified"""
    passed: bool
    verified_at: Time | None = None
    message: str | None = Field(default=None, max_length=1024)


class Artifact(Model):
    """One finished package."""

    target: Arch = Field(json_schema_extra={"maxLength": 16})
    name: str | None = None
    uri: str | None = None
    sha256: str | None = None
    size_bytes: int | None = Field(default=None, json_schema_extra=INT64)
    wheels: int | None = None
    verification: Verification | None = None


class AttemptRecord(Model):
    """How one attempt ended."""

    attempt: int | None = None
    job: str | None = None
    pod: str | None = None
    start_time: Time | None = None
    completion_time: Time | None = None
    exit_code: int | None = None
    failure_class: str | None = Field(default=None, alias="class")
    reason: str | None = None
    message: str | None = Field(default=None, max_length=1024)


class Condition(Model):
    """A fact about the task in the form that `kubectl wait` reads."""

    type: str = Field(max_length=316)
    status: Literal["True", "False", "Unknown"]
    observed_generation: int | None = Field(default=None, ge=0, json_schema_extra=INT64)
    last_transition_time: Time
    reason: str = Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    message: str | None = Field(default=None, max_length=32768)
    """of Admitted=False: the position in the queue and why"""


class Status(Model):
    """What became of it; written by the operator alone."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            ("!has(oldSelf.sequence) || (has(self.sequence) && self.sequence >= oldSelf.sequence)",
             "status.sequence must not decrease"),
            ("!has(oldSelf.phase) || has(self.phase)", "status.phase cannot be removed"),
        )
    )  # fmt: skip

    observed_generation: int | None = Field(default=None, json_schema_extra=INT64)
    sequence: int | None = Field(default=None, ge=0, json_schema_extra=INT64)
    phase: Phase | None = Field(
        default=None,
        json_schema_extra={
            "maxLength": 16,
            **_rules(
                ("!(oldSelf in ['Succeeded','Failed','Cancelled']) || self == oldSelf", "terminal phases are final")
            ),
        },
    )
    reason: str | None = Field(default=None, max_length=128)
    message: str | None = Field(default=None, max_length=4096)
    """what happened; ends with 'Hint: ...', what to do"""
    attempt: int | None = Field(default=None, json_schema_extra=INT32)
    queued_at: Time | None = None
    start_time: Time | None = None
    completion_time: Time | None = None
    expires_at: Time | None = None
    duration: str | None = Field(default=None, max_length=32)
    job: JobReference | None = None
    plugin: PluginInfo | None = None
    progress: ProgressCopy | None = None
    plan: Plan | None = None
    artifacts: list[Artifact] | None = Field(default=None, max_length=3, json_schema_extra=_list_map("target"))
    attempts: list[AttemptRecord] | None = Field(default=None, max_length=11)
    conditions: list[Condition] | None = Field(default=None, max_length=16, json_schema_extra=_list_map("type"))


class Metadata(Model):
    """The part of an object's metadata that we use."""

    name: str = ""
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class RepackageTask(Model):
    """One wish to have a plugin repackaged, and what became of it."""

    api_version: str = "dify-repack.io/v1alpha1"
    kind: str = "RepackageTask"
    metadata: Metadata = Field(default_factory=Metadata)
    spec: Spec
    status: Status = Field(default_factory=Status)

    @property
    def phase(self) -> Phase | None:
        """The phase, None where no status was written yet."""
        return self.status.phase
