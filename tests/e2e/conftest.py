"""The chart on the cluster that KUBECONFIG names. Images are built before, by `make e2e-images`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit_log import audit_log, judged
from e2e_cluster import HOME, LACKING, RELEASE, TEAM, Cluster, install, serve_files, uninstall
from requirements import REQUIRE_ALL, kubeconfig


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Namespaces with Pod Security restricted, and a server of plugins and wheels; gone at the end."""
    path = kubeconfig()
    if path is None:
        pytest.skip("no cluster was given: set KUBECONFIG and run `make e2e`")
    cluster = Cluster(path)
    cluster.ensure_namespace(HOME)
    cluster.ensure_namespace(TEAM)
    serve_files(cluster)
    yield cluster
    uninstall(cluster)
    cluster.kubectl("delete", "namespace", HOME, TEAM, "--wait=true", "--timeout=90s")
    cluster.kubectl("delete", "crd", "repackagetasks.dify-repack.io", "--ignore-not-found")


@pytest.fixture(scope="session", autouse=True)
def nothing_is_refused(cluster: Cluster) -> Iterator[None]:
    """Over all tests RBAC refuses no call of our accounts, those apart whose rights are taken away on purpose."""
    log = audit_log()
    if log is None:
        sentence = "E2E_AUDIT_LOG is not set: name the file that the API server writes its audit log to"
        assert not REQUIRE_ALL, f"{sentence} (tests/audit-policy.yaml), or refused calls go unseen"
        yield
        return
    began = log.stat().st_size
    yield
    accounts = f"system:serviceaccount:{HOME}:"
    calls = judged(log, after=began, accounts=accounts, but=f"{accounts}{LACKING}", release=RELEASE)
    assert calls.allowed, f"{log} holds no call of our accounts: is it the log of this cluster?"
    assert calls.refused == {}, "the API server refused calls of operator or dashboard"


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Cluster]:
    """The chart with its defaults; each module has an installation of its own."""
    install(cluster)
    yield cluster
    uninstall(cluster)
