"""Deletion: preconditions, finalizers, owners, collections."""

from typing import Any

from kubeapi import Kube, a_config_map, a_job, a_manifest, until


def an_owner(made: dict[str, Any], **more: Any) -> dict[str, Any]:
    head = {"apiVersion": made["apiVersion"], "kind": made["kind"]}
    return head | {"name": made["metadata"]["name"], "uid": made["metadata"]["uid"], **more}


def test_a_deletion_answers_with_success_and_the_uid(kube: Kube) -> None:
    made = kube.create(kube.tasks, a_manifest())
    answer = kube.delete(f"{kube.tasks}/demo").json()
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert answer["details"]["uid"] == made["metadata"]["uid"]
    assert not kube.exists(f"{kube.tasks}/demo")


def test_a_deletion_of_another_uid_is_a_conflict(kube: Kube) -> None:
    made = kube.create(kube.tasks, a_manifest())
    path = f"{kube.tasks}/demo"
    wrong = kube.delete(path, {"preconditions": {"uid": "another"}})
    assert (wrong.status_code, wrong.json()["reason"]) == (409, "Conflict")
    stale = kube.delete(path, {"preconditions": {"resourceVersion": "1"}})
    assert stale.status_code == 409
    assert kube.delete(path, {"preconditions": {"uid": made["metadata"]["uid"]}}).status_code == 200


def test_a_finalizer_holds_a_deleted_object(kube: Kube) -> None:
    obj = a_manifest()
    obj["metadata"]["finalizers"] = ["dify-repack.io/hold"]
    kube.create(kube.tasks, obj)
    path = f"{kube.tasks}/demo"
    answer = kube.delete(path).json()
    assert answer["kind"] == "RepackageTask"
    held = kube.get(path)["metadata"]
    assert held["deletionTimestamp"]
    assert held["generation"] == 2
    assert kube.delete(path).status_code == 200, "deleting again is no error"
    assert kube.get(path)["metadata"]["deletionTimestamp"] == held["deletionTimestamp"]
    kube.patch(path, {"metadata": {"finalizers": None}})
    assert not kube.exists(path)


def test_what_an_object_owns_goes_with_it(kube: Kube) -> None:
    owner = kube.create(kube.tasks, a_manifest())
    child = kube.create(kube.core("configmaps"), a_config_map("child", ownerReferences=[an_owner(owner)]))
    kube.create(kube.core("configmaps"), a_config_map("grandchild", ownerReferences=[an_owner(child | _CONFIG_MAP)]))
    kube.create(kube.core("configmaps"), a_config_map("stranger"))
    kube.delete(f"{kube.tasks}/demo", propagationPolicy="Background")
    until(
        lambda: {"child", "grandchild"}.isdisjoint(kube.names(kube.core("configmaps"))),
        what="the dependents to be collected",
        seconds=40,
    )
    assert "stranger" in kube.names(kube.core("configmaps"))


_CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap"}


def test_an_object_with_another_owner_stays(kube: Kube) -> None:
    first, second = kube.create(kube.tasks, a_manifest("one")), kube.create(kube.tasks, a_manifest("two"))
    owners = [an_owner(first), an_owner(second)]
    kube.create(kube.core("configmaps"), a_config_map("child", ownerReferences=owners))
    kube.delete(f"{kube.tasks}/one")
    path = f"{kube.core('configmaps')}/child"
    until(
        lambda: [o["name"] for o in kube.get(path)["metadata"]["ownerReferences"]] == ["two"],
        what="the reference to the gone owner to be removed",
        seconds=40,
    )


def test_an_owner_that_never_was_takes_its_object_along(kube: Kube) -> None:
    ghost = {"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "00000000-0000-0000-0000-000000000000"}
    kube.create(kube.core("configmaps"), a_config_map("child", ownerReferences=[ghost]))
    until(lambda: not kube.exists(f"{kube.core('configmaps')}/child"), what="the orphan to be collected", seconds=40)


def test_orphans_stay_without_their_owner(kube: Kube) -> None:
    owner = kube.create(kube.tasks, a_manifest())
    kube.create(kube.core("configmaps"), a_config_map("child", ownerReferences=[an_owner(owner)]))
    kube.delete(f"{kube.tasks}/demo", propagationPolicy="Orphan")
    until(lambda: not kube.exists(f"{kube.tasks}/demo"), what="the owner to go", seconds=40)
    assert "ownerReferences" not in kube.get(f"{kube.core('configmaps')}/child")["metadata"]


def test_foreground_deletion_waits_for_dependents(kube: Kube) -> None:
    owner = kube.create(kube.tasks, a_manifest())
    reference = an_owner(owner, blockOwnerDeletion=True, controller=True)
    held = a_config_map("child", ownerReferences=[reference], finalizers=["dify-repack.io/hold"])
    kube.create(kube.core("configmaps"), held)
    kube.delete(f"{kube.tasks}/demo", propagationPolicy="Foreground")
    child = f"{kube.core('configmaps')}/child"
    until(lambda: "deletionTimestamp" in kube.get(child)["metadata"], what="the child to be deleted", seconds=40)
    assert kube.get(f"{kube.tasks}/demo")["metadata"]["finalizers"] == ["foregroundDeletion"]
    kube.patch(child, {"metadata": {"finalizers": None}})
    until(lambda: not kube.exists(f"{kube.tasks}/demo"), what="the owner to go", seconds=40)


def test_a_collection_is_deleted_by_its_labels(kube: Kube) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        kube.create(kube.tasks, a_manifest(name, labels={"kind": label}))
    assert kube.delete(kube.tasks, labelSelector="kind=x").status_code == 200
    assert kube.names(kube.tasks) == ["c"]


def test_a_raw_deletion_of_a_job_leaves_its_pods(kube: Kube) -> None:
    kube.create(kube.jobs, a_job())
    pods = until(lambda: kube.names(kube.core("pods"), labelSelector="job-name=work"), what="the Job's Pod")
    response = kube.delete(f"{kube.jobs}/work")
    assert "child pods are preserved by default" in response.headers["Warning"]
    until(lambda: not kube.exists(f"{kube.jobs}/work"), what="the Job to go", seconds=40)
    assert kube.exists(f"{kube.core('pods')}/{pods[0]}")


def test_a_job_takes_its_pods_along_in_the_background(kube: Kube) -> None:
    kube.create(kube.jobs, a_job())
    until(lambda: kube.names(kube.core("pods")), what="the Job's Pod")
    kube.delete(f"{kube.jobs}/work", propagationPolicy="Background")
    until(lambda: not kube.names(kube.core("pods")), what="the Pod to be collected", seconds=40)
