"""Installing, upgrading and uninstalling: what must stay stays, and nothing hangs."""

import httpx

from e2e_cluster import HOME, RELEASE, TEAM, Cluster, install, page_of, task, uninstall
from kubeapi import until


def test_an_upgrade_keeps_tasks_packages_and_the_token(cluster: Cluster):
    install(cluster)
    try:
        cluster.apply(task("before", "locked"))
        artifact = cluster.finished("before")["artifacts"][0]
        token = cluster.token()
        worker = {"env": {"REPACK_CONNECTIONS": "4"}}
        install(cluster, {"operator": {"replicas": 2, "maxConcurrent": 2}, "worker": worker})
        assert cluster.token() == token
        assert cluster.get("rpt", "before")["status"]["phase"] == "Succeeded"
        with page_of(cluster) as page:
            assert page.get(artifact["uri"]).status_code == httpx.codes.OK
        lease = cluster.get("lease", f"{RELEASE}-operator", namespace=HOME)
        assert lease["spec"]["holderIdentity"]
        # Back to one replica, which is replaced and never doubled: the strategy of the Deployment changes too.
        install(cluster, {"operator": {"replicas": 1, "maxConcurrent": 2}, "worker": worker})
        strategy = cluster.get("deploy", f"{RELEASE}-operator", namespace=HOME)["spec"]["strategy"]
        assert strategy == {"type": "Recreate"}
        cluster.apply(task("after", "locked"))
        assert cluster.finished("after")["phase"] == "Succeeded"
    finally:
        uninstall(cluster)


def test_uninstalling_leaves_tasks_and_packages_and_a_new_installation_finds_them(cluster: Cluster):
    install(cluster)
    try:
        cluster.apply(task("kept", "locked"))
        artifact = cluster.finished("kept")["artifacts"][0]
        uninstall(cluster)
        kinds = "deploy,svc,secret,sa,role,rolebinding,netpol,pvc"
        left = cluster.kubectl("-n", HOME, "get", kinds, "-o", "name").split()
        assert [name for name in left if RELEASE in name] == [f"persistentvolumeclaim/{RELEASE}-data"]
        cluster_wide = cluster.kubectl("get", "clusterrole,clusterrolebinding", "-o", "name")
        assert RELEASE not in cluster_wide
        assert cluster.get("rpt", "kept")["status"]["phase"] == "Succeeded"
        install(cluster)
        with page_of(cluster) as page:
            assert page.get(artifact["uri"]).status_code == httpx.codes.OK
    finally:
        uninstall(cluster)


def test_without_an_operator_tasks_and_namespaces_can_be_deleted(cluster: Cluster):
    install(cluster)
    place = f"{TEAM}-gone"
    cluster.ensure_namespace(place)
    try:
        cluster.apply(task("running", "locked"), namespace=place)
        until(lambda: cluster.phase("running", namespace=place), what="the task to be seen", seconds=60)
        uninstall(cluster)
        cluster.kubectl("-n", place, "delete", "rpt", "running", "--timeout=20s")
        cluster.apply(task("unseen", "locked"), namespace=place)
    finally:
        uninstall(cluster)
        cluster.kubectl("delete", "namespace", place, "--timeout=60s")
