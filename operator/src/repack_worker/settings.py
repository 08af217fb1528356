"""Settings of the worker, read once from `REPACK_*` variables; the only place that reads the environment."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, field

from repack_contract.choices import VerificationMethod, VerifyDepth
from repack_worker.addresses import AddressPolicy, Entry
from repack_worker.environment import Secret, read_settings, wrong

if TYPE_CHECKING:
    from repack_objects.location import Location

TERMINATION_LOG = Path("/dev/termination-log")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_PASSED_ON = (
    *_CERTIFICATES, "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy",
    "no_proxy",
)  # fmt: skip
"""What child processes that may use a network get of our environment on purpose: certificates and proxies."""


def passed_on_environment() -> dict[str, str]:
    """Return the certificates and proxies of our own environment."""
    environment = os.environ  # noqa: TID251 - this is the settings module
    return {name: environment[name] for name in _PASSED_ON if name in environment}


def certificates_environment() -> dict[str, str]:
    """Return the certificates of our own environment; git knows them by a name of its own."""
    found = {name: value for name, value in passed_on_environment().items() if name in _CERTIFICATES}
    return found | ({"GIT_SSL_CAINFO": found["SSL_CERT_FILE"]} if "SSL_CERT_FILE" in found else {})


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for an address (`HTTPS_PROXY`, `ALL_PROXY`, but `NO_PROXY`)."""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow to import, and of networks only

    parts = urlsplit(url)
    host = parts.hostname or ""
    if proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def home_folder(*, otherwise: Path) -> Path:
    """Return the home of the account that we run as; an account in a container may have none."""
    try:
        return Path.home()
    except RuntimeError:
        return otherwise


PREFIX = "REPACK_"


def load_settings() -> "Settings":
    """Return the settings; raise an error that names the variable and its fault when one cannot be read."""
    settings = read_settings(Settings, os.environ, prefix=PREFIX)  # noqa: TID251 - this is the settings module
    for entry in settings.allowed_private_hosts:
        try:
            Entry.read(entry)
        except ValueError as error:
            raise wrong("REPACK_ALLOWED_PRIVATE_HOSTS", str(error)) from error
    try:
        _ = settings.wheel_store
    except ValueError as error:  # what concerns several settings names the one at fault itself
        variable, _, sentence = str(error).partition(": ")
        raise wrong(variable, sentence) from error
    return settings


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker works; each field is the variable `REPACK_<FIELD>`."""

    order: str | None = None
    """JSON of the WorkOrder; the operator writes it into the Job."""
    ingest_url: str | None = None
    """Base URL of the dashboard. Without it nothing is reported and nothing can be published there."""
    ingest_token_file: Path | None = None
    """File with the bearer token for the ingest endpoint; read again for each request, because it rotates."""
    work_dir: Path = Path("/work")
    """Where everything temporary lies; each attempt makes a folder of its own there and removes it."""
    cache_dir: Path | None = None
    """Wheels and index answers kept between tasks; `cache` in the working directory when absent."""
    termination_log: Path = TERMINATION_LOG
    """Where the result is written for the kubelet."""

    python: Path | None = None
    """The interpreter that plugins are verified with; looked for when absent. It must have the task's version."""
    python_home: Path | None = None
    """Home folder whose interpreters (pyenv, uv, mise) are looked at; that of the user we run as when absent."""
    python_download: bool = True
    """Let uv download an interpreter when none of the right version is found."""
    index_url: str | None = None
    """Package index to ask where the task names none; uv's own default when absent."""
    index_username: str | None = None
    """User at the host of `REPACK_INDEX_URL`; sent to no other host."""
    index_password: Secret | None = None
    """Password or token that goes with it, from a Secret; better a file."""
    index_password_file: Path | None = None
    """File with that password, mounted from a Secret."""
    index_netrc_file: Path | None = None
    """netrc file with the credentials of several index hosts, mounted from a Secret."""
    exclude_newer: str | None = None
    """Ignore what was uploaded to the index after this date (RFC 3339); makes choosing versions repeatable."""
    plan_cache_seconds: Annotated[int, Meta(ge=0)] = 86_400
    """How long the versions chosen for a plugin without a lock are remembered; 0 asks the index each time."""
    build_sources: bool = True
    """Build distributions that have no wheel; runs their code without a network and without credentials."""
    build_timeout_seconds: Annotated[float, Meta(gt=0)] = 900.0
    """How long one step of such a build may take."""

    marketplace_url: str = "https://marketplace.dify.ai"
    """Base URL of the Marketplace; one of your own must speak the same API."""
    github_url: str = "https://github.com"
    """Base URL of GitHub, for assets of releases."""
    github_api_url: str = "https://api.github.com"
    """Base URL of GitHub's API, for finding releases and for private ones; of GitHub Enterprise `https://…/api/v3`."""
    github_token: Secret | None = None
    """Token for GitHub: private repositories, and more than 60 look-ups an hour."""
    github_token_file: Path | None = None
    """File with that token (a mounted Secret); wins over `github_token`, and is read for each task."""
    allow_private_addresses: bool = False
    """Fetch plugins and packages from private, loopback and link-local addresses too. Off, because whoever writes a
    task names addresses, and so does a plugin's lock; addresses in these settings are always allowed."""
    allowed_private_hosts: list[str] = field(default_factory=list)
    """Names, addresses and networks that may be private (a JSON list), such as
    `["nexus.example.com", "10.1.2.3:8081", "10.0.0.0/8"]`."""

    max_package_bytes: Annotated[int, Meta(ge=1)] = 500 << 20
    """Largest package to make, in bytes, packed and unpacked; set the same in Dify (its own default is 50 MiB)."""
    max_plugin_bytes: Annotated[int, Meta(ge=1)] = 500 << 20
    """Largest plugin to accept, in bytes as downloaded."""
    max_unpacked_bytes: Annotated[int, Meta(ge=1)] = 2 << 30
    """Largest plugin to accept, in bytes when unpacked."""
    max_entries: Annotated[int, Meta(ge=1)] = 100_000
    """Most files a plugin may have."""

    marketplace_key_file: Path | None = None
    """PEM file with the Marketplace's public key; without it the signature of a plugin is noted and not checked."""
    signing_key_file: Path | None = None
    """PEM file (PKCS#1) with the RSA key that signs packages, mounted from a Secret; unsigned when absent."""

    cache_max_bytes: Annotated[int, Meta(ge=0)] = 20 << 30
    """Size of the wheel cache; above it what was not used for longest is thrown out. uv's own cache may be as large."""
    cache_max_age_days: Annotated[float, Meta(gt=0)] = 90.0
    """A wheel that was not used for so long is thrown out; so is what uv, plans and builds remember."""
    wheel_store_url: str | None = None
    """An object store whose wheels several machines share (`s3://bucket/prefix`, `gs://…`, `az://…`), asked before the
    package index and in place of the dashboard's cache. Credentials come from the environment or the cloud itself."""
    wheel_store_endpoint: str | None = None
    """Base URL of an object store of one's own; the cloud's when absent."""
    wheel_store_region: str | None = None
    """Region of an S3 bucket; `AWS_REGION` when absent."""
    wheel_store_path_style: bool = True
    """S3: ask for `endpoint/bucket/key`; false asks for `bucket.endpoint/key`."""
    wheel_store_allow_http: bool = False
    """Let requests to that object store go unencrypted."""
    wheel_store_ca_file: Path | None = None
    """PEM file with the private authority of that object store's certificate; `SSL_CERT_FILE` when absent."""
    shared_cache: bool = True
    """Use the dashboard's wheel cache, where there is a dashboard."""
    shared_results: bool = True
    """Share plans and built wheels too, with the workers of the same namespace; they trust each other then."""

    connections: Annotated[int, Meta(ge=1, le=64)] = 12
    """Wheels downloaded at the same time. HTTP/1.1 with 8 to 16 connections measured fastest."""
    connect_timeout_seconds: Annotated[float, Meta(gt=0)] = 10.0
    """How long a server may take to accept a connection."""
    stall_seconds: Annotated[float, Meta(gt=0)] = 30.0
    """A download that brings less than `min_bytes_per_second` for so long counts as stuck."""
    min_bytes_per_second: Annotated[int, Meta(ge=1)] = 1024
    """Slowest download that is still worth waiting for."""
    download_attempts: Annotated[int, Meta(ge=1)] = 4
    """How often one file is asked for; what is there already is not fetched again."""
    resolve_timeout_seconds: Annotated[float, Meta(gt=0)] = 300.0
    """How long uv may take to choose versions for a plugin without a lock."""
    verify_timeout_seconds: Annotated[float, Meta(gt=0)] = 600.0
    """How long one command of the verification may take; Dify's daemon allows its install 10 minutes."""
    verify: VerifyDepth = VerifyDepth.STANDARD
    """`standard` runs the newest daemon's command lines, `full` those of all generations, each with its own uv."""
    isolation: VerificationMethod | None = None
    """Method to keep the network away in Verify; the strongest that works here when absent."""
    publish_attempts: Annotated[int, Meta(ge=1)] = 30
    """How often an upload is tried, with up to 5 s between: a dashboard may be restarting."""

    def __post_init__(self) -> None:
        """Make folders absolute: programs that are started elsewhere get their names."""
        msgspec.structs.force_setattr(self, "work_dir", self.work_dir.absolute())
        if self.cache_dir:
            msgspec.structs.force_setattr(self, "cache_dir", self.cache_dir.expanduser().absolute())

    def but(self, **changes: Any) -> Self:
        """Return a copy with other values in some fields."""
        return msgspec.structs.replace(self, **changes)

    @property
    def wheel_store(self) -> "Location | None":
        """Where wheels are shared by a bucket; raises a ValueError that names the variable when that cannot be one."""
        if not self.wheel_store_url:
            return None
        from repack_objects.location import Location  # noqa: PLC0415 - of those who have one; it needs pydantic

        return Location.read(
            "REPACK_WHEEL_STORE_",
            url=self.wheel_store_url,
            endpoint=self.wheel_store_endpoint,
            region=self.wheel_store_region,
            path_style=self.wheel_store_path_style,
            allow_http=self.wheel_store_allow_http,
            ca_file=self.wheel_store_ca_file or passed_on_environment().get("SSL_CERT_FILE"),
        )

    @property
    def addresses(self) -> AddressPolicy:
        """What may be connected to: the public network, what was allowed, and the servers that these settings name."""
        entries = tuple(Entry.read(entry) for entry in self.allowed_private_hosts)
        policy = AddressPolicy(allow_private=self.allow_private_addresses, allowed=entries)
        return policy.with_urls(self.index_url, self.marketplace_url, self.github_url, self.github_api_url)

    @property
    def token_for_github(self) -> str | None:
        """The token, read anew where it is in a file; None without one."""
        if self.github_token_file:
            return self.github_token_file.read_text("utf-8").strip() or None
        return self.github_token.reveal() if self.github_token else None

    @property
    def caches(self) -> Path:
        """The cache folder, always set."""
        return self.cache_dir or self.work_dir / "cache"
