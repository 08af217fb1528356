"""Shared fixtures. Tests that need a part that may be missing say so through `requirements.require`."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from fakes.object_store import CREDENTIALS, S3Server, an_s3_server
from kubeapi import Server, real_server
from requirements import kubeconfig

# A shared, slow machine must not make a property test fail by time; the number of examples bounds it.
settings.register_profile("repo", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("repo")


@pytest.fixture(autouse=True)
def _environment_of_this_machine_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove what would change pip's and uv's answers on one machine and not on another."""
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def real_cluster() -> Iterator[Server]:
    """The API server of KUBECONFIG with our CRD, which stays until the last test: the first to ask applies it."""
    path = kubeconfig()
    assert path is not None, "a test that asks for the real cluster is only made when KUBECONFIG is given"
    with real_server(path) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One S3 server for all tests; each has a bucket of its own."""
    with an_s3_server() as server:
        yield server


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an empty bucket; the credentials for it are in the environment."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return s3_server.make_bucket()
