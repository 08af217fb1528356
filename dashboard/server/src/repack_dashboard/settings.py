"""Settings of the dashboard, read once at start. The three `WS_` names are older than this project and are kept."""

from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from repack_contract.source import SourceType
from repack_contract.task import Arch, Mode
from repack_objects.location import Location

_PREFIX = "REPACK_DASHBOARD_"


class AuthMode(StrEnum):
    """How users prove who they are."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105 - the name of a mode
    KUBERNETES = "kubernetes"


class IngestAuth(StrEnum):
    """How operator and workers prove who they are."""

    TOKEN = "token"  # noqa: S105 - the name of a mode
    KUBERNETES = "kubernetes"


class Settings(BaseSettings):
    """Everything that can be set, from environment variables `REPACK_DASHBOARD_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, use_attribute_docstrings=True, frozen=True, extra="ignore", populate_by_name=True
    )

    host: str = "127.0.0.1"
    """Address to listen on. Loopback by default, because `auth_mode` none asks nobody who they are."""
    port: int = Field(default=8080, ge=0, le=65535)
    """TCP port to listen on; 0 takes a free one and writes it to the log."""
    data_dir: Path = Path("data")
    """Folder of uploads, artifacts and logs; the only thing that must survive a restart."""
    store_url: str | None = None
    """An object store in place of the volume: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    `data_dir` then holds only what may be lost. Credentials come from the environment (such as `AWS_ACCESS_KEY_ID` and
    `AWS_SECRET_ACCESS_KEY`) or from the cloud's workload identity."""
    store_endpoint: str | None = None
    """Base URL of an object store of one's own, such as `https://minio.example.com`; the cloud's when absent."""
    store_region: str | None = None
    """Region of an S3 bucket; `AWS_REGION` when absent."""
    store_path_style: bool = True
    """S3: ask for `endpoint/bucket/key`; false asks for `bucket.endpoint/key`."""
    store_allow_http: bool = False
    """Let requests to the object store go unencrypted."""
    store_ca_file: Path | None = None
    """PEM file with the private authority of the object store's certificate."""
    static_dir: Path = Path(__file__).parent / "static"
    """Folder of the built page."""

    kubeconfig: Path | None = None
    """Kubeconfig file of the API server; None means the cluster that this Pod runs in."""
    namespace: str = "default"
    """Namespace of new tasks that name none."""
    watch_namespaces: list[str] = Field(default_factory=list)
    """Namespaces that are shown (a JSON list); empty means all, which needs rights in all. Files of tasks in other
    namespaces are nobody's, and go after `retention_seconds`."""
    relist_seconds: float = Field(default=30.0, gt=0)
    """Seconds between two full lists of the tasks: what the operator did not tell (it may be dead) shows then."""

    auth_mode: AuthMode = AuthMode.NONE
    """How users prove who they are; `none` asks nothing and belongs on loopback or behind one's own proxy, `token` is
    one bearer token for all, `kubernetes` takes the cluster's tokens and shows what its RBAC lets their owner list."""
    auth_token: SecretStr | None = None
    """The bearer token of `auth_mode` token; at least 16 characters."""
    auth_token_file: Path | None = None
    """File with that token; wins over `auth_token`, and is read for each request, because a mounted Secret changes."""
    auth_cache_seconds: float = Field(default=30.0, ge=0)
    """Seconds for which an answer of the cluster about a token or a right is used again."""
    download_ticket_seconds: float = Field(default=3600.0, gt=0)
    """Seconds for which a signed-in user's browser may go on with a download that it began, while the token lives."""
    auth_recheck_seconds: float = Field(default=60.0, gt=0)
    """Seconds after which the rights of a connected user are looked at again."""
    ingest_auth: IngestAuth = IngestAuth.TOKEN
    """How operator and workers prove who they are: `token` is one static token for both, `kubernetes` takes projected
    service-account tokens with the audience `dify-repack-ingest`, which bind a worker to its own attempt."""
    ingest_operators: list[str] = Field(default_factory=list)
    """With `ingest_auth` kubernetes: user names of the operator (a JSON list), such as
    `system:serviceaccount:dify-repack:dify-repack-operator`."""
    ingest_token: SecretStr | None = None
    """Bearer token of operator and workers; at least 16 characters."""
    ingest_token_file: Path | None = None
    """File with that token; wins over `ingest_token`, because a file does not show in the process's environment."""
    allowed_origins: list[str] = Field(default_factory=list)
    """Further origins (`https://host[:port]`, a JSON list) whose pages may use this server; its own host always may."""
    allowed_hosts: list[str] = Field(default_factory=list)
    """Host names under which browsers may call this server (a JSON list); empty means any. Set it where `auth_mode` is
    none, so that a hostile name that resolves to this address (DNS rebinding) opens nothing."""

    max_upload_bytes: int = Field(default=500 * 1024**2, gt=0)
    """Largest package that a user may upload, in bytes; bounds what one request can take of the volume."""
    max_artifact_bytes: int = Field(default=4 * 1024**3, gt=0)
    """Largest package that a worker may hand in, in bytes."""
    wheel_cache_bytes: int = Field(default=10 * 1024**3, ge=0)
    """Bytes of the volume for wheels that workers share; 0 keeps none. The least recently used go first."""
    max_log_bytes: int = Field(default=256 * 1024**2, gt=0)
    """Largest whole log that a worker may hand in, in bytes."""
    retention_seconds: float = Field(default=86400.0, ge=0)
    """Seconds that files stay after their task was deleted, and uploads that no task names; a day of regret."""

    sources: list[SourceType] = Field(default_factory=lambda: list(SourceType))
    """Kinds of source that the workers of this installation can fetch; the page offers these."""
    targets: list[Arch] = Field(default_factory=lambda: [Arch.AMD64, Arch.ARM64, Arch.UNIVERSAL])
    """Targets that the workers of this installation can make; the page offers these."""
    modes: list[Mode] = Field(default_factory=lambda: [Mode.REQUIREMENTS_ONLY, Mode.DUAL])
    """Rewrite modes that the workers of this installation know; the page offers these."""
    default_package_index_url: str | None = None
    """Package index that the form starts with; None means the public one."""

    redis_url: SecretStr | None = None
    """Where several replicas keep the event log: `redis[s]://[user:password@]host[:port][/database]`. None keeps it in
    memory, for exactly one."""
    redis_url_file: Path | None = None
    """File with that URL; wins over `redis_url`, because a file does not show in the process's environment."""
    redis_prefix: str = Field(default="dify-repack", pattern=r"^[A-Za-z0-9._:{}-]{1,64}$")
    """What the names of all keys in Redis begin with; each installation that shares a Redis needs its own."""

    marketplace_url: str | None = "https://marketplace.dify.ai"
    """Base URL of the Marketplace that the page's list of plugins comes from, asked by this server on a user's behalf;
    set it empty on a network that does not reach it: the page then offers links and uploads only."""
    marketplace_timeout_seconds: float = Field(default=8.0, gt=0)
    """Longest wait for one answer of the Marketplace; a person is waiting too."""
    marketplace_cache_seconds: float = Field(default=300.0, ge=0)
    """Seconds for which an answer of the Marketplace is used again."""

    ring_events: int = Field(default=10_000, gt=0)
    """Events kept for clients that come back, all tasks together."""
    ring_bytes: int = Field(default=16 * 1024**2, gt=0)
    """Bytes of frames kept for clients that come back, all tasks together."""
    ring_task_events: int = Field(default=64, gt=0)
    """Events kept per task for clients of one task's channel."""
    ring_seconds: float = Field(default=600.0, gt=0)
    """Seconds that an event is kept; whoever was away longer gets a snapshot."""
    replay_limit: int = Field(default=1000, gt=0)
    """Most events that are replayed to one client; a snapshot is cheaper beyond that."""
    backlog_frames: int = Field(default=256, gt=0)
    """Frames that may wait for one slow client before it is closed with 4008."""
    backlog_bytes: int = Field(default=1024**2, gt=0)
    """Bytes that may wait for one slow client before it is closed with 4008."""
    tick_seconds: float = Field(default=0.02, ge=0, le=1)
    """Seconds in which events gather, after a first one that went out at once, to be written to each client together;
    0 writes every event by itself."""
    compress: bool = False
    """Compress WebSocket messages from 1 KiB for clients that offer it (permessage-deflate without context takeover);
    for slow lines, as it saves bytes and costs processor time."""
    max_connections: int = Field(default=15_000, gt=0)
    """WebSockets at one time; further ones are closed with 4029. About 30 KB each, and below the usual limit of
    file descriptors."""
    max_connections_per_address: int | None = Field(default=None, gt=0)
    """WebSockets of one address (IPv6: of one /64), further ones are closed with 4029. None is no bound: behind a proxy
    that `trusted_proxies` does not name, all clients have one address."""
    max_connections_per_user: int | None = Field(default=100, gt=0)
    """WebSockets of one user, further ones are closed with 4505; only `auth_mode` kubernetes tells users apart."""
    trusted_proxies: list[IPv4Network | IPv6Network] = Field(default_factory=list)
    """Networks of one's own proxies (a JSON list, such as `["10.0.0.0/8"]`): their X-Forwarded-For is believed."""
    messages_per_second: float = Field(default=20.0, gt=0)
    """Messages that one client may send per second (twice as many at once); beyond that it is closed with 4013."""
    drain_seconds: float = Field(default=10.0, ge=0)
    """Longest time over which the WebSockets are closed at shutdown, so that clients do not come back all at once."""
    shutdown_seconds: int = Field(default=20, gt=0)
    """Hard bound, after the drain, on requests that do not end."""

    heartbeat_interval: float = Field(default=30.0, gt=0, validation_alias="WS_HEARTBEAT_INTERVAL")
    """Seconds between two pings to a WebSocket client; below the 60 s after which proxies cut idle connections."""
    heartbeat_timeout: float = Field(default=15.0, gt=0, validation_alias="WS_HEARTBEAT_TIMEOUT")
    """Seconds that may pass after a ping that nothing follows; interval + timeout is the age of a dead peer."""
    cleanup_interval: float = Field(default=300.0, gt=0, validation_alias="WS_CLEANUP_INTERVAL")
    """Seconds between two sweeps for silent connections and expired events; a safety net only."""

    @field_validator("marketplace_url", mode="after")
    @classmethod
    def _check_marketplace(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not value.startswith(("http://", "https://")):
            raise ValueError("give an address that begins with http:// or https://, or nothing to switch it off")
        return value

    @model_validator(mode="after")
    def _check_auth(self) -> Self:
        if self.auth_mode is AuthMode.TOKEN:
            self.read_auth_token()
        self.read_redis_url()
        self.read_store()
        return self

    def read_store(self) -> Location | None:
        """Return the object store that keeps the files; None is the folder.

        Raises:
            ValueError: it cannot be one.
        """
        if not self.store_url:
            return None
        return Location.read(
            f"{_PREFIX}STORE_",
            url=self.store_url,
            endpoint=self.store_endpoint,
            region=self.store_region,
            path_style=self.store_path_style,
            allow_http=self.store_allow_http,
            ca_file=self.store_ca_file,
        )

    def read_auth_token(self) -> str:
        """Return the token of the users as it is now.

        Raises:
            ValueError: it is absent, unreadable or too short to be a secret.
        """
        token = _secret(self.auth_token_file, self.auth_token, variable="AUTH_TOKEN")
        if len(token) < 16:
            raise ValueError(
                f"{_PREFIX}AUTH_MODE=token needs a token of at least 16 characters: set {_PREFIX}AUTH_TOKEN_FILE "
                f"(or {_PREFIX}AUTH_TOKEN)"
            )
        return token

    def read_redis_url(self) -> str | None:
        """Return where the event log is kept; None is in memory.

        Raises:
            ValueError: its file is unreadable, or it is none of a Redis.
        """
        url = _secret(self.redis_url_file, self.redis_url, variable="REDIS_URL")
        if url and not _is_redis_url(url):
            raise ValueError(
                f"{_PREFIX}REDIS_URL must be redis[s]://[user:password@]host[:port][/database], with what is special "
                "in the password percent-encoded"
            )
        return url or None

    def read_ingest_token(self) -> str:
        """Return the token that operator and workers must show; none where the cluster says who they are.

        Raises:
            ValueError: it is absent, unreadable or too short to be a secret.
        """
        if self.ingest_auth is IngestAuth.KUBERNETES:
            return ""
        token = _secret(self.ingest_token_file, self.ingest_token, variable="INGEST_TOKEN")
        if len(token) < 16:
            raise ValueError(
                f"operator and workers need a token of at least 16 characters: set {_PREFIX}INGEST_TOKEN_FILE "
                f"(or {_PREFIX}INGEST_TOKEN) here, and the same token for them"
            )
        return token


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "unix" or (
            parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
        )
    except ValueError:  # of the port; its sentence would repeat a part of the URL
        return False


def _secret(file: Path | None, value: SecretStr | None, *, variable: str) -> str:
    if file is None:
        return value.get_secret_value().strip() if value else ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{_PREFIX}{variable}_FILE cannot be read: {error}") from error
