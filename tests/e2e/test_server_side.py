"""The real API server takes every rendering of the chart, and no field of it is unknown to it."""

import pytest
import yaml

from chart_matrix import MATRIX
from e2e_cluster import Cluster
from helmchart import rendered

NAMESPACES = ("team-a", "team-b")


@pytest.fixture(scope="module")
def namespaces(cluster: Cluster):
    for name in NAMESPACES:
        cluster.ensure_namespace(name)
    yield
    cluster.kubectl("delete", "namespace", *NAMESPACES, "--wait=false")


@pytest.mark.parametrize("name", MATRIX)
def test_every_rendering_passes_strict_validation(cluster: Cluster, namespaces: None, name: str):
    # In a namespace where nothing was left by an installation, whose volume could not be changed.
    objects = rendered(MATRIX[name], "--namespace", NAMESPACES[0])
    # The Pod of `helm test` needs its account to exist, where it has one of its own.
    objects = [o for o in objects if "serviceAccountName" not in o.get("spec", {})]
    given = yaml.safe_dump_all(objects)
    said = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=given)
    assert len(said.splitlines()) == len(objects)
