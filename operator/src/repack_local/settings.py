"""Settings of the embedded mode: one machine, no cluster, for trying out and for people who need no more."""

import os
from ipaddress import ip_address
from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from repack_worker.settings import passed_on_environment

_OF_THE_USER = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER")
_OF_CLOUDS = ("AWS_", "GOOGLE_", "AZURE_")
"""Who we are at an object store, which dashboard and workers may be told to use."""
_OF_THE_PROGRAMS = ("REPACK_DASHBOARD_", "REPACK_OPERATOR_", "WS_")
_INHERITED = (*_OF_THE_PROGRAMS, *_OF_CLOUDS)
_OF_OTHERS = (*_OF_THE_PROGRAMS, "REPACK_LOCAL_")


def inherited_environment() -> dict[str, str]:
    """Return what our programs get of the user's environment: the ordinary, certificates, proxies, settings, keys."""
    given = os.environ.items()  # noqa: TID251 - settings module
    own = {name: value for name, value in given if name in _OF_THE_USER}
    settings = {name: value for name, value in given if name.startswith(_INHERITED)}
    return {**own, **passed_on_environment(), **settings}


def worker_environment() -> dict[str, str]:
    """Return the settings of workers that the user gave (`REPACK_PYTHON`, `REPACK_INDEX_URL`, …)."""
    given = os.environ.items()  # noqa: TID251 - settings module
    return {name: value for name, value in given if name.startswith("REPACK_") and not name.startswith(_OF_OTHERS)}


class Settings(BaseSettings):
    """Read from the environment once, at the start."""

    model_config = SettingsConfigDict(env_prefix="REPACK_LOCAL_", use_attribute_docstrings=True, frozen=True)

    home: Path = Path.home() / ".local" / "share" / "dify-repack"
    """Folder that keeps everything: tasks, artifacts, logs, wheel cache, kubeconfig. Delete it to start anew."""
    host: str = "127.0.0.1"
    """Address to listen on. Only a loopback address is taken: nobody is asked for a password in this mode."""
    port: int = 8700
    """Port of the page; 0 takes a free one, and so does a port that is in use."""
    api_port: int = 8701
    """Port of the embedded Kubernetes API; 0 takes a free one, and so does a port that is in use."""
    max_concurrent: int = 2
    """How many tasks run at once; each needs about one core while it verifies."""
    stop_seconds: float = 10.0
    """How long the programs may take to end after Ctrl-C before they are killed."""

    @field_validator("host")
    @classmethod
    def _loopback_only(cls, host: str) -> str:
        if host != "localhost" and not ip_address(host).is_loopback:
            raise ValueError(
                f"the embedded mode listens on a loopback address only, not on {host}: it asks nobody for a password; "
                "to serve other machines, install the chart in a cluster"
            )
        return host
