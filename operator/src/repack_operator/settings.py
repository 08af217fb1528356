"""Settings of the operator, read once from the environment (`REPACK_OPERATOR_*`)."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from repack_contract.wire import StrictModel
from repack_operator.queueing import Limits

DEFAULT_PROFILE = "default"


class Profile(StrictModel):
    """A runtime profile of workers; a task names one in `spec.profile`."""

    image: str | None = None
    """Image of the workers; `worker_image` when absent. Pin it by digest in production."""
    memory: list[str] = Field(default=["1Gi", "2Gi"], min_length=1)
    """Memory limits, smallest first: a worker that was killed for want of memory gets the next one, once."""
    cpu: str = "1"
    """CPU request; there is no CPU limit, because a throttled resolver only takes longer."""
    storage: str = "8Gi"
    """Size limit of the working directory and limit of ephemeral storage: plugin, wheels, unpacked verification."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    service_account: str | None = None
    """Service account of the workers; it needs no rights. `worker_service_account` when absent."""
    runtime_class: str | None = None
    """RuntimeClass of the workers, such as a sandbox for the build code of packages."""


class Settings(BaseSettings):
    """Read from the environment once, at the start. Lists and mappings are written as JSON, None as `none`."""

    model_config = SettingsConfigDict(
        env_prefix="REPACK_OPERATOR_", env_parse_none_str="none", use_attribute_docstrings=True, frozen=True
    )

    kubeconfig: Path | None = None
    """Kubeconfig file; None takes the service account of the Pod we run in."""
    namespaces: list[str] = Field(default_factory=list)
    """Namespaces whose tasks are served; empty serves all, which needs a ClusterRole."""
    api_qps: float = Field(default=50.0, gt=0)
    """Calls per second to the API server, on average."""
    api_burst: int = Field(default=100, ge=1)
    """Calls that may be made at once."""

    max_concurrent: int = Field(default=4, ge=1)
    """How many tasks may have a running Job at once; further ones wait in the queue."""
    max_per_namespace: int | None = Field(default=None, ge=1)
    """How many of them may be of one namespace; None sets no limit."""
    namespace_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Weights of namespaces: one of weight 3 starts three tasks where one of weight 1 (those not named) starts one."""
    ageing_limit: int = Field(default=100, ge=0)
    """A waiting task gains one priority a minute inside its namespace; at most so much."""
    starts_per_second: float = Field(default=10.0, gt=0)
    """Jobs that are made per second, on average; a burst of tasks does not flood the API server."""
    starts_burst: int = Field(default=25, ge=1)
    """Jobs that may be made at once."""
    default_ttl_seconds: int | None = Field(default=None, ge=0)
    """Seconds after which a finished task without `spec.ttlSecondsAfterFinished` is deleted; None keeps it."""
    job_ttl_seconds: int | None = Field(default=None, ge=0)
    """Seconds after the end of a task at which its Jobs are deleted; None keeps them as long as the task."""
    workers: int = Field(default=8, ge=1)
    """How many tasks are looked at in parallel."""
    resync_seconds: float = Field(default=300.0, ge=1)
    """Seconds between two comparisons of what we know with what the API server lists (lost events heal here)."""
    probe_seconds: float = Field(default=30.0, gt=0)
    """Seconds of silence after which the API server is asked for a sign of life; readiness is lost after three."""

    leader_election: bool = False
    """Elect a leader among replicas by a Lease. Without it run one replica, and replace it by `Recreate`."""
    lease_name: str = "dify-repack-operator"
    """Name of the Lease."""
    lease_namespace: str | None = None
    """Namespace of the Lease; that of the Pod we run in when None."""
    identity: str | None = None
    """Who holds the Lease, for people who read it; the host's name when None. Something random is added."""
    lease_seconds: int = Field(default=15, ge=1)
    """Others take over when the Lease was not renewed for so long."""
    lease_renew_seconds: float = Field(default=10.0, gt=0)
    """A leader that could not renew the Lease for so long stops writing; less than `lease_seconds`."""
    lease_retry_seconds: float = Field(default=2.0, gt=0)
    """Seconds between two renewals, and between two looks of a follower; less than `lease_renew_seconds`."""

    worker_image: str = "dify-repack-worker:latest"
    """Image of the workers; pin it by digest in production."""
    worker_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the kubelet pulls it; with a digest `IfNotPresent` is always right."""
    worker_image_pull_secrets: list[str] = Field(default_factory=list)
    """Names of Secrets in the task's namespace for a private registry."""
    worker_command: list[str] = Field(default=["python", "-m", "repack_worker"], min_length=1)
    """Command of the workers' container."""
    worker_env: dict[str, str] = Field(default_factory=dict)
    """Further environment of the workers, such as `REPACK_*` settings, proxies, a default package index."""
    worker_env_from_secrets: list[str] = Field(default_factory=list)
    """Names of Secrets in the task's namespace whose keys become further environment of the workers, such as
    `REPACK_INDEX_URL` or `HTTPS_PROXY` with a password."""
    worker_mounted_secrets: list[str] = Field(default_factory=list)
    """Names of Secrets in the task's namespace that are mounted at `/etc/dify-repack/secrets/<name>`, such as a signing
    key; `worker_env` names the files in them."""
    worker_ca_config_map: str | None = None
    """ConfigMap in the task's namespace with the certificates that workers trust, in place of the image's own."""
    worker_ca_key: str = "ca.crt"
    """Key of the certificates in it."""
    worker_service_account: str | None = None
    """Service account of the workers; it needs no rights. None takes the namespace's default one."""
    profiles: dict[str, Profile] = Field(default_factory=lambda: {DEFAULT_PROFILE: Profile()})
    """Runtime profiles by name; a task without `spec.profile` gets `default`."""

    ingest_url: str | None = None
    """Base URL of the dashboard; None runs without one: no page, no progress, no uploads.

    The workers prove themselves to it by a projected service-account token of the ingest audience; the embedded mode
    fills that very volume with its static token.
    """
    ingest_token_file: Path | None = None
    """File with the token for the dashboard, read for every batch because projected tokens rotate."""
    worker_ingest_url: str | None = None
    """Base URL of the dashboard as the workers see it, where it differs from `ingest_url`."""
    kubernetes_events: bool = True
    """Write a Kubernetes Event for each step that says something; `kubectl describe` shows them. Two calls a task."""
    progress_seconds: float = Field(default=15.0, ge=0)
    """Least time between two copies of a task's progress to its status, unless its stage changed."""

    health_host: str = "0.0.0.0"  # noqa: S104 - probes come from the node, Prometheus from other Pods
    """Address of /livez, /readyz and /metrics."""
    health_port: int | None = Field(default=8081, ge=0, le=65535)
    """Port of /livez, /readyz and /metrics; 0 takes a free one, None serves none."""
    log_format: Literal["json", "console"] = "json"
    """`json` for collectors, `console` for people."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written."""
    stop_seconds: float = Field(default=10.0, gt=0)
    """After SIGTERM: time to finish what is being written, and to tell the dashboard."""

    @property
    def limits(self) -> Limits:
        """What the queue needs to know."""
        return Limits(
            total=self.max_concurrent,
            per_namespace=self.max_per_namespace,
            weights=self.namespace_weights,
            ageing_limit=self.ageing_limit,
            starts_per_second=self.starts_per_second,
            burst=self.starts_burst,
        )

    @model_validator(mode="after")
    def _has_a_default_profile(self) -> Self:
        if DEFAULT_PROFILE not in self.profiles:
            raise ValueError(f"profiles must have one named {DEFAULT_PROFILE!r}")
        return self

    @model_validator(mode="after")
    def _renews_in_time(self) -> Self:
        if not self.lease_retry_seconds < self.lease_renew_seconds < self.lease_seconds:
            raise ValueError("lease_retry_seconds < lease_renew_seconds < lease_seconds must hold")
        return self
