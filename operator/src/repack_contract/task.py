"""The RepackageTask: the one definition, from which the CRD is generated (`schema.py`).

`json_schema_extra` carries what JSON Schema lacks: CEL rules (`x-kubernetes-validations`) and list keys. The rules of
the API server are repeated for clusters before 1.25, which drop them silently: `check_spec` in `spec_rules.py`.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from repack_contract.choices import Arch as Arch  # noqa: PLC0414 - re-exported
from repack_contract.choices import DesiredState as DesiredState  # noqa: PLC0414 - re-exported
from repack_contract.choices import Mode as Mode  # noqa: PLC0414 - re-exported
from repack_contract.choices import VerificationMethod as VerificationMethod  # noqa: PLC0414 - re-exported
from repack_contract.phases import Phase, Stage
from repack_contract.source import HttpUrl, Source
from repack_contract.wire import INT32, INT64, Model, StrictModel, Time, list_map, rules


class Target(StrictModel):
    """One package to make."""

    arch: Arch = Field(json_schema_extra={"maxLength": 16})
    """linux/amd64, linux/arm64, or `universal`: both in one package."""


class PackageIndex(StrictModel):
    """The package index (mirror) to ask in place of the public one."""

    url: HttpUrl | None = None
    """The main one, in place of the public one; that of the worker's settings when absent."""
    extra_urls: list[HttpUrl] | None = Field(
        default=None, alias="extraURLs", max_length=8, json_schema_extra={"x-kubernetes-list-type": "set"}
    )
    """Further indexes beside the main one; a package that one of them has is taken from there."""


class Output(StrictModel):
    """How the result is named."""

    suffix: str = Field(default="offline", max_length=32, pattern=r"^[A-Za-z0-9_-]+$")
    """Ends the file name, before `.difypkg`."""


class RetryPolicy(StrictModel):
    """Further attempts after failures that another attempt may mend."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.maxBackoffSeconds >= self.backoffSeconds",
             "retry.maxBackoffSeconds must be >= retry.backoffSeconds")
        )
    )  # fmt: skip

    limit: int = Field(default=2, ge=0, le=10, json_schema_extra=INT32)
    """Most further attempts after the first."""
    backoff_seconds: int = Field(default=10, ge=0, le=3600, json_schema_extra=INT32)
    """Wait before the first further attempt; it doubles with each."""
    max_backoff_seconds: int = Field(default=300, ge=0, le=86400, json_schema_extra=INT32)
    """Longest such wait."""


class Spec(StrictModel):
    """What the user wants. What decides the result is immutable: another wish is another task."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *((f"self.{field} == oldSelf.{field}", f"spec.{field} is immutable")
              for field in ("source", "targets", "python", "mode", "dryRun")),
            ("has(self.packageIndex) == has(oldSelf.packageIndex) && "
             "(!has(self.packageIndex) || self.packageIndex == oldSelf.packageIndex)",
             "spec.packageIndex is immutable"),
        )
    )  # fmt: skip

    source: Source
    """The plugin to repackage."""
    targets: list[Target] = Field(min_length=1, max_length=3, json_schema_extra=list_map("arch"))
    """One artifact per entry; one Job per attempt makes and verifies them all."""
    python: str = Field(default="3.12", max_length=8, pattern=r"^3\.[0-9]{1,2}$")
    """Version of Python that runs the plugin; Dify's daemon has 3.12."""
    mode: Mode = Field(default=Mode.REQUIREMENTS_ONLY, json_schema_extra={"maxLength": 16})
    """RequirementsOnly pins every package in requirements.txt, Dual adds a uv.lock onto the package's own wheels."""
    dry_run: bool = False
    """The Job stops after the stage Plan and reports status.plan; the task succeeds without artifacts."""
    package_index: PackageIndex | None = None
    """The package index (mirror) to ask in place of the public one."""
    output: Output = Field(default_factory=Output, json_schema_extra={"default": {}})
    """How the result is named."""
    desired_state: DesiredState = Field(
        default=DesiredState.ACTIVE,
        json_schema_extra={
            "maxLength": 16,
            **rules(
                ("oldSelf != 'Cancelled' || self == 'Cancelled'",
                 "a cancelled task cannot be reactivated; create a new one")
            ),
        },
    )  # fmt: skip
    """Suspended holds the task and Active goes on with it; Cancelled is final."""
    priority: int = Field(default=0, ge=-1000, le=1000, json_schema_extra=INT32)
    """Which of a namespace's waiting tasks goes first: the highest."""
    # The default is written whole: the API server evaluates the rule on it before nested defaults are filled in.
    retry: RetryPolicy = Field(
        default_factory=RetryPolicy,
        json_schema_extra={"default": {"limit": 2, "backoffSeconds": 10, "maxBackoffSeconds": 300}},
    )
    """Further attempts after failures that another attempt may mend."""
    active_deadline_seconds: int = Field(default=1800, ge=30, le=86400, json_schema_extra=INT64)
    """Longest time that one attempt may take."""
    pending_deadline_seconds: int = Field(default=600, ge=10, le=86400, json_schema_extra=INT64)
    """Longest time that its Pod may need to start."""
    ttl_seconds_after_finished: int | None = Field(default=None, ge=0, le=31536000, json_schema_extra=INT32)
    """The task is deleted so long after its end; absent: as the operator is set."""
    profile: str | None = Field(default=None, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    """Name of an operator-side runtime profile (image, resources, nodeSelector, SA); never raw pod fields."""


class JobReference(Model):
    """The Job of the current attempt."""

    name: str | None = None
    """In the namespace of the task."""
    uid: str | None = None
    """Tells it from another Job of the same name."""


class PluginInfo(Model):
    """What the plugin's manifest says."""

    display_name: str | None = Field(default=None, max_length=256)
    """As people call it."""
    author: str | None = None
    """As the manifest has it."""
    name: str | None = None
    """As the manifest has it."""
    version: str | None = None
    """As the manifest has it."""


class ProgressCopy(Model):
    """A copy for kubectl users of what the worker told the dashboard; no decision depends on it."""

    percent: int | None = Field(default=None, ge=0, le=100)
    """Of the whole attempt."""
    step: Stage | None = Field(default=None, json_schema_extra={"maxLength": 16})
    """The stage that runs."""
    message: str | None = Field(default=None, max_length=1024)
    """What the stage is doing."""
    updated_at: Time | None = None
    """When it was copied; within a stage that is done a few times a minute at most."""


class PlanTarget(Model):
    """What a dry run found for one target."""

    arch: Arch = Field(json_schema_extra={"maxLength": 16})
    """As in spec.targets."""
    size_bytes: int | None = Field(default=None, ge=0, json_schema_extra=INT64)
    """Of the finished package."""
    over_limit: bool | None = None
    """SizeBytes is above maxPackageBytes."""


class Plan(Model):
    """What a dry run found; the log has it package by package."""

    packages: int | None = Field(default=None, ge=0, json_schema_extra=INT32)
    """Number of packages, all targets together."""
    download_bytes: int | None = Field(default=None, ge=0, json_schema_extra=INT64)
    """Of all wheels and source archives, each counted once."""
    builds: int | None = Field(default=None, ge=0, json_schema_extra=INT32)
    """Number of packages without a wheel that must be built."""
    warnings: list[Annotated[str, Field(max_length=256)]] | None = Field(default=None, max_length=16)
    """What the user should know before the real run."""
    targets: list[PlanTarget] | None = Field(default=None, max_length=3, json_schema_extra=list_map("arch"))
    """What it means for each target."""


class Verification(Model):
    """The proof that a package installs without a network."""

    method: VerificationMethod = Field(json_schema_extra={"maxLength": 32})
    """How the offline install was really verified."""
    passed: bool
    """Always true: what does not pass is not published."""
    verified_at: Time | None = None
    """When it passed."""
    message: str | None = Field(default=None, max_length=1024)
    """What was run, and for which generations of the daemon."""


class Artifact(Model):
    """One finished package."""

    target: Arch = Field(json_schema_extra={"maxLength": 16})
    """As in spec.targets."""
    name: str | None = None
    """File name."""
    uri: str | None = None
    """Where to download it: a path on the dashboard."""
    sha256: str | None = None
    """Of the file; Dify makes it part of the plugin's identity."""
    size_bytes: int | None = Field(default=None, json_schema_extra=INT64)
    """Of the file."""
    wheels: int | None = None
    """How many wheels are inside."""
    verification: Verification | None = None
    """The proof that it installs without a network."""


class AttemptRecord(Model):
    """How one attempt ended."""

    attempt: int | None = None
    """Its number, from 1."""
    job: str | None = None
    """Name of its Job."""
    pod: str | None = None
    """Name of its Pod."""
    start_time: Time | None = None
    """When its worker started."""
    completion_time: Time | None = None
    """When it ended."""
    exit_code: int | None = None
    """Of the worker; the table of reasons has them."""
    failure_class: str | None = Field(default=None, alias="class")
    """Infra, Network, Resource, User, Artifact or Internal; absent where it did not fail."""
    reason: str | None = None
    """One word of the table of reasons, or Succeeded."""
    message: str | None = Field(default=None, max_length=1024)
    """What happened."""


class Condition(Model):
    """A fact about the task in the form that `kubectl wait` reads."""

    type: str = Field(max_length=316)
    """Admitted, Succeeded, Complete, Failed, Reconciling, Stalled or ArtifactReady."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    observed_generation: int | None = Field(default=None, ge=0, json_schema_extra=INT64)
    """The metadata.generation that it was judged by."""
    last_transition_time: Time
    """When its status changed last."""
    reason: str = Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    """One word, as status.reason."""
    message: str | None = Field(default=None, max_length=32768)
    """Of Admitted=False: the position in the queue and why."""


class Status(Model):
    """What became of it; written by the operator alone."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!has(oldSelf.sequence) || (has(self.sequence) && self.sequence >= oldSelf.sequence)",
             "status.sequence must not decrease"),
            ("!has(oldSelf.phase) || has(self.phase)", "status.phase cannot be removed"),
        )
    )  # fmt: skip

    observed_generation: int | None = Field(default=None, json_schema_extra=INT64)
    """The metadata.generation that was acted on last."""
    sequence: int | None = Field(default=None, ge=0, json_schema_extra=INT64)
    """Counts the steps of this task; it never goes back."""
    phase: Phase | None = Field(
        default=None,
        json_schema_extra={
            "maxLength": 16,
            **rules(
                ("!(oldSelf in ['Succeeded','Failed','Cancelled']) || self == oldSelf", "terminal phases are final")
            ),
        },
    )
    """Where the task stands; Succeeded, Failed and Cancelled are final."""
    reason: str | None = Field(default=None, max_length=128)
    """One word for why: the table of reasons has those of failures."""
    message: str | None = Field(default=None, max_length=4096)
    """What happened; ends with 'Hint: ...', what to do."""
    attempt: int | None = Field(default=None, json_schema_extra=INT32)
    """Number of the current attempt, from 1."""
    queued_at: Time | None = None
    """When the operator took note of the task."""
    start_time: Time | None = None
    """When the first worker started."""
    completion_time: Time | None = None
    """When the task ended."""
    expires_at: Time | None = None
    """When the task will be deleted."""
    duration: str | None = Field(default=None, max_length=32)
    """From start to end, for people."""
    job: JobReference | None = None
    """The Job of the current attempt."""
    plugin: PluginInfo | None = None
    """What the plugin's manifest says."""
    progress: ProgressCopy | None = None
    """A copy for kubectl users of what the worker tells the dashboard; no decision depends on it."""
    plan: Plan | None = None
    """What a dry run found; the log has it package by package."""
    artifacts: list[Artifact] | None = Field(default=None, max_length=3, json_schema_extra=list_map("target"))
    """The verified packages, one for each target."""
    attempts: list[AttemptRecord] | None = Field(default=None, max_length=11)
    """How the attempts ended."""
    conditions: list[Condition] | None = Field(default=None, max_length=16, json_schema_extra=list_map("type"))
    """What kubectl wait can wait for."""


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
