"""Packages and wheels in an object store, without a volume: what a Pod made is there when it is gone."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

import obstore
import pytest

from e2e_cluster import HARDENED, HOME, RELEASE, TAG, Cluster, Object, a_pod, a_service, install, task, uninstall
from e2e_cluster import page_of as page
from fakes.object_store import CREDENTIALS, S3Server

PORT = 5000
PREFIX = "some/prefix"


@dataclass
class Stored:
    """A cluster whose dashboard has a bucket and no volume."""

    cluster: Cluster
    server: S3Server
    bucket: str

    def keys(self, folder: str) -> set[str]:
        """Return the names of what the bucket has below a folder."""
        listed = obstore.list(self.server.store(self.bucket), prefix=f"{PREFIX}/{folder}").collect()
        return {entry["path"].removeprefix(f"{PREFIX}/") for entry in listed}


@pytest.fixture(scope="module")
def stored(cluster: Cluster) -> Iterator[Stored]:
    """The release, with packages of the dashboard and wheels of the workers in one bucket."""
    container = {
        "name": "s3",
        "image": f"dify-repack/s3:{TAG}",
        "imagePullPolicy": "IfNotPresent",
        # Else the server takes the first label of its own name, s3.NAMESPACE.svc, for a bucket.
        "env": [{"name": "S3_IGNORE_SUBDOMAIN_BUCKETNAME", "value": "true"}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": HARDENED,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    login = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bucket-login"}, "stringData": CREDENTIALS}
    pod = a_pod("s3", container, [{"name": "tmp", "emptyDir": {}}])
    cluster.apply(pod, a_service("s3", port=80, target=PORT), login, namespace=HOME)
    cluster.apply(login)
    cluster.kubectl("-n", HOME, "wait", "--for=condition=Ready", "pod/s3", "--timeout=60s")
    with pytest.MonkeyPatch.context() as patch, cluster.forward("svc/s3", 80) as url:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        server = S3Server(urlsplit(url).port or 0)
        bucket = server.make_bucket()
        place = {"url": f"s3://{bucket}/{PREFIX}", "endpoint": f"http://s3.{HOME}.svc", "allowHttp": True}
        values: Object = {
            "dashboard": {"persistence": {"enabled": False}, "objectStore": place | {"existingSecret": "bucket-login"}},
            "worker": {"wheelStore": place | {"url": f"{place['url']}/shared"}, "envFromSecrets": ["bucket-login"]},
            "networkPolicies": {"objectStorePorts": [80, PORT]},
        }
        install(cluster, values)
        yield Stored(cluster, server, bucket)
        uninstall(cluster)
    cluster.kubectl("-n", HOME, "delete", "pod", "s3", "--wait=false")


def test_a_package_outlives_the_pod_of_the_dashboard_that_took_it(stored: Stored):
    pod = stored.cluster.get("deploy", f"{RELEASE}-dashboard", namespace=HOME)["spec"]["template"]["spec"]
    assert [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume] == []
    stored.cluster.apply(task("in-a-bucket", "locked"))
    status = stored.cluster.finished("in-a-bucket")
    assert status["phase"] == "Succeeded", status
    (artifact,) = status["artifacts"]
    uid = stored.cluster.get("rpt", "in-a-bucket")["metadata"]["uid"]
    assert {f"tasks/{uid}/1/amd64.difypkg", f"tasks/{uid}/1/amd64.report.json"} <= stored.keys("tasks")
    stored.cluster.kubectl("-n", HOME, "delete", "pod", "-l", "app.kubernetes.io/component=dashboard", "--wait=true")
    stored.cluster.kubectl("-n", HOME, "rollout", "status", f"deploy/{RELEASE}-dashboard", "--timeout=60s")
    with page(stored.cluster) as client:
        content = client.get(artifact["uri"]).raise_for_status().content
        log = client.get(f"/api/v1/tasks/{uid}/log.txt").raise_for_status().text
    assert sha256(content).hexdigest() == artifact["sha256"]
    assert "Verify done" in log


def test_the_wheels_of_one_task_are_in_the_bucket_for_the_next(stored: Stored):
    for name in ("fills-the-bucket", "asks-the-bucket"):
        stored.cluster.apply(task(name))
        status = stored.cluster.finished(name)
        assert status["phase"] == "Succeeded", status
    assert len(stored.keys("shared")) >= 2
    uid = stored.cluster.get("rpt", "asks-the-bucket")["metadata"]["uid"]
    with page(stored.cluster) as client:
        log = client.get(f"/api/v1/tasks/{uid}/log.txt").raise_for_status().text
    assert "0 wheels downloaded, 2 taken from the cache" in log
