"""Every case runs against the embedded API, and against the API server of KUBECONFIG where that is given."""

from collections.abc import Iterator

import pytest

from kubeapi import Kube, Server, embedded_server, unique, until
from requirements import kubeconfig

_CLUSTER = [pytest.param("cluster", marks=pytest.mark.cluster)] if kubeconfig() else []


@pytest.fixture(scope="session", params=["embedded", *_CLUSTER])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "cluster":
        yield request.getfixturevalue("real_cluster")
        return
    with embedded_server() as running:
        yield running


@pytest.fixture(scope="session")
def _namespaces(server: Server) -> Iterator[list[str]]:
    """Names of the namespaces that were made; all are gone at the end."""
    made: list[str] = []
    yield made
    for name in made:
        until(
            lambda name=name: server.client.get(f"/api/v1/namespaces/{name}").status_code == 404,
            what=f"namespace {name} to go",
            seconds=60,
        )


@pytest.fixture
def kube(server: Server, _namespaces: list[str]) -> Iterator[Kube]:
    name = unique("conformance")
    response = server.client.post("/api/v1/namespaces", json={"metadata": {"name": name}})
    assert response.status_code == 201, response.text
    _namespaces.append(name)
    yield Kube(server, name)
    server.client.delete(f"/api/v1/namespaces/{name}")
