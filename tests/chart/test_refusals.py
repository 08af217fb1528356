"""What the chart refuses, and in which words."""

import pytest

from helmchart import refusal, rendered

SEVERAL = {"replicas": 2}
STORE = {"url": "s3://bucket/prefix"}
NO_CLAIM = {"persistence": {"enabled": False}}
REDIS = {"redis": {"url": "redis://redis:6379/0"}}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"dashboard": SEVERAL}, "name a Redis in dashboard.redis.url"),
        ({"dashboard": SEVERAL | REDIS}, "access mode ReadWriteOnce is mounted by one node only"),
        ({"dashboard": SEVERAL | REDIS | {"persistence": {"enabled": False}}}, "would have packages of its own"),
        ({"dashboard": {"objectStore": STORE}}, "files lie in one place"),
        ({"dashboard": NO_CLAIM | {"objectStore": STORE} | SEVERAL}, "name a Redis in dashboard.redis.url"),
        ({"dashboard": {"objectStore": {"existingSecret": "keys"}}}, "but not which: set dashboard.objectStore.url"),
        (
            {"dashboard": NO_CLAIM | {"objectStore": {"url": "https://x"}}},
            "is no address of an object store: give s3://bucket/prefix",
        ),
        ({"dashboard": NO_CLAIM | {"objectStore": {"url": "s3://key:secret@b"}}}, "without credentials"),
        ({"dashboard": NO_CLAIM | {"objectStore": STORE | {"endpoint": "http://m"}}}, "would go unencrypted"),
        ({"worker": {"wheelStore": {"region": "x"}}}, "set worker.wheelStore.url"),
        ({"rbac": {"scope": "namespaces"}}, "list the namespaces whose tasks are served"),
        ({"operator": {"replicas": 2, "leaderElection": {"enabled": False}}}, "all of them would work at once"),
        ({"namespaces": ["a"], "dashboard": {"namespace": "b"}}, "nobody would serve what the page creates there"),
        ({"commonLabels": {"app.kubernetes.io/name": "x"}}, "commonLabels sets app.kubernetes.io/name"),
        ({"operator": {"podLabels": {"helm.sh/chart": "x"}}}, "operator.podLabels sets helm.sh/chart"),
        ({"dashboard": {"ingress": {"enabled": True}}}, "needs dashboard.ingress.host"),
        ({"dashboard": {"httpRoute": {"enabled": True}}}, "needs dashboard.httpRoute.parentRefs"),
        ({"worker": {"profiles": {"default": None, "large": {}}}}, "no profile named default"),
        (
            {"dashboard": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "gate"}]}}},
            "needs the kind gateway.networking.k8s.io/v1/HTTPRoute, which this cluster does not serve",
        ),
        (
            {"monitoring": {"monitors": {"enabled": True, "renderMode": "failIfMissing"}}},
            "needs the kind monitoring.coreos.com/v1/PodMonitor",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(values, sentence):
    assert sentence in refusal(values)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"dashbord": {}}, "dashbord"),
        ({"operator": {"replicaCount": 2}}, "replicaCount"),
        ({"dashboard": {"auth": {"mode": "basic"}}}, "basic|mode"),
        ({"images": {"worker": {"digest": "latest"}}}, "digest"),
        ({"dashboard": {"service": {"port": 0}}}, "port"),
        ({"namespaces": ["Team_A"]}, "namespaces"),
    ],
)
def test_unknown_and_wrong_values_are_refused_by_name(values, name):
    said = refusal(values)
    assert any(part in said for part in name.split("|")), said


def test_a_chart_that_contains_this_one_may_have_global_values():
    assert rendered({"global": {"registry": "x"}})
