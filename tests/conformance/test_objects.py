"""What the server writes into objects, and how it answers reads and writes."""

import re

from kubeapi import Kube, a_config_map, a_manifest, until


def test_a_created_object_gets_uid_version_time_and_generation(kube: Kube) -> None:
    made = kube.create(kube.tasks, a_manifest())
    metadata = made["metadata"]
    assert re.fullmatch(r"[0-9a-f-]{36}", metadata["uid"])
    assert int(metadata["resourceVersion"]) > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["creationTimestamp"])
    assert metadata["generation"] == 1
    assert metadata["namespace"] == kube.namespace
    assert (made["apiVersion"], made["kind"]) == ("dify-repack.io/v1alpha1", "RepackageTask")


def test_generation_counts_changes_of_the_spec_only(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest())
    path = f"{kube.tasks}/demo"
    assert kube.patch(path, {"metadata": {"labels": {"a": "b"}}}).json()["metadata"]["generation"] == 1
    assert kube.set_status("demo", {"phase": "Running"}).json()["metadata"]["generation"] == 1
    assert kube.patch(path, {"spec": {"priority": 5}}).json()["metadata"]["generation"] == 2


def test_a_write_that_changes_nothing_keeps_the_version(kube: Kube) -> None:
    made = kube.create(kube.tasks, a_manifest())
    again = kube.patch(f"{kube.tasks}/demo", {"spec": {"priority": 0}}).json()
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_list_is_an_envelope_with_kind_and_version(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest())
    found = kube.get(kube.tasks)
    assert (found["kind"], found["apiVersion"]) == ("RepackageTaskList", "dify-repack.io/v1alpha1")
    assert int(found["metadata"]["resourceVersion"]) >= int(found["items"][0]["metadata"]["resourceVersion"])
    assert kube.get(kube.core("pods"))["kind"] == "PodList"


def test_generate_name_makes_a_name(kube: Kube) -> None:
    obj = a_manifest()
    obj["metadata"] = {"generateName": "some-"}
    first, second = kube.create(kube.tasks, obj), kube.create(kube.tasks, obj)
    assert re.fullmatch(r"some-[a-z0-9]{5}", first["metadata"]["name"])
    assert first["metadata"]["name"] != second["metadata"]["name"]


def test_an_unknown_namespace_refuses_objects(kube: Kube) -> None:
    response = kube.client.post("/api/v1/namespaces/no-such-one/configmaps", json=a_config_map("a"))
    assert response.status_code == 404
    assert response.json()["message"] == 'namespaces "no-such-one" not found'
    assert kube.get("/apis/dify-repack.io/v1alpha1/namespaces/no-such-one/repackagetasks")["items"] == []


def test_the_default_namespace_is_there(kube: Kube) -> None:
    assert kube.get("/api/v1/namespaces/default")["status"]["phase"] == "Active"


def test_a_namespace_goes_with_what_is_in_it(kube: Kube) -> None:
    name = f"{kube.namespace}-b"
    kube.create("/api/v1/namespaces", {"metadata": {"name": name}})
    path = f"/apis/dify-repack.io/v1alpha1/namespaces/{name}/repackagetasks"
    kube.create(path, a_manifest())
    answer = kube.delete(f"/api/v1/namespaces/{name}").json()
    assert answer["status"]["phase"] == "Terminating"
    until(lambda: not kube.exists(f"/api/v1/namespaces/{name}"), what="the namespace to go", seconds=40)
    assert kube.get(path)["items"] == []


def test_a_taken_name_is_a_conflict(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest())
    response = kube.client.post(kube.tasks, json=a_manifest())
    assert (response.status_code, response.json()["reason"]) == (409, "AlreadyExists")
    assert response.json()["message"] == 'repackagetasks.dify-repack.io "demo" already exists'
    assert response.json()["details"] == {"name": "demo", "group": "dify-repack.io", "kind": "repackagetasks"}


def test_what_is_not_there_is_not_found(kube: Kube) -> None:
    for verb in ("GET", "DELETE"):
        response = kube.client.request(verb, f"{kube.tasks}/nope")
        body = response.json()
        assert (response.status_code, body["kind"], body["status"]) == (404, "Status", "Failure")
        assert (body["reason"], body["message"]) == ("NotFound", 'repackagetasks.dify-repack.io "nope" not found')
    assert kube.client.get("/apis/nothing.test/v1/things").status_code == 404
    assert kube.patch(f"{kube.tasks}/nope", {"spec": {}}).status_code == 404


def test_a_name_must_be_a_dns_name(kube: Kube) -> None:
    response = kube.client.post(kube.tasks, json=a_manifest("Bad_Name"))
    assert (response.status_code, response.json()["reason"]) == (422, "Invalid")
    assert response.json()["details"]["causes"][0]["field"] == "metadata.name"
    assert "a lowercase RFC 1123 subdomain must consist of" in response.json()["message"]


def test_the_body_must_fit_the_path(kube: Kube) -> None:
    other = a_manifest()
    other["metadata"]["namespace"] = "default"
    assert kube.client.post(kube.tasks, json=other).status_code == 400
    assert kube.client.post(kube.tasks, json=a_manifest() | {"kind": "Other"}).status_code == 422
    assert kube.client.post(kube.tasks, json={"metadata": {"name": "a"}}).status_code == 400
    nonsense = kube.client.post(kube.tasks, content="{nonsense", headers={"Content-Type": "application/json"})
    assert (nonsense.status_code, nonsense.json()["reason"]) == (400, "BadRequest")


def test_a_wrong_token_is_refused(kube: Kube) -> None:
    with kube.server.stranger(token="wrong") as client:
        response = client.get(kube.tasks)
    assert (response.status_code, response.json()["reason"]) == (401, "Unauthorized")


def test_dry_run_answers_and_keeps_nothing(kube: Kube) -> None:
    made = kube.create(kube.tasks, a_manifest(), dryRun="All")
    assert made["spec"]["python"] == "3.12"
    assert made["metadata"]["uid"]
    assert not kube.exists(f"{kube.tasks}/demo")
    kube.create(kube.tasks, a_manifest())
    patched = kube.patch(f"{kube.tasks}/demo", {"spec": {"priority": 7}}, dryRun="All").json()
    assert patched["spec"]["priority"] == 7
    assert kube.get(f"{kube.tasks}/demo")["spec"]["priority"] == 0
    assert kube.delete(f"{kube.tasks}/demo", dryRun="All").status_code == 200
    assert kube.exists(f"{kube.tasks}/demo")


def test_health_and_version_are_open(kube: Kube) -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        assert kube.client.get(path).text == "ok"
    assert kube.get("/version")["major"] == "1"


def test_reviews_allow_the_owner(kube: Kube) -> None:
    attributes = {"verb": "create", "group": "dify-repack.io", "resource": "repackagetasks", "namespace": "default"}
    review = kube.create(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        },
    )
    assert review["status"]["allowed"] is True
    token = kube.create(
        "/apis/authentication.k8s.io/v1/tokenreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "nobody's"}},
    )
    assert token["status"].get("authenticated", False) is False


def test_secrets_events_and_leases_are_kept_as_they_are(kube: Kube) -> None:
    secret = kube.create(kube.core("secrets"), {"metadata": {"name": "s"}, "data": {"a": "Yg=="}})
    assert (secret["type"], secret["data"]) == ("Opaque", {"a": "Yg=="})
    lease = kube.create(kube.leases, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}})
    assert lease["spec"]["holderIdentity"] == "me"
    involved = {"kind": "RepackageTask", "name": "demo", "namespace": kube.namespace, "uid": "u"}
    event = {"metadata": {"name": "e"}, "involvedObject": involved, "reason": "Seen", "message": "m", "type": "Normal"}
    kube.create(kube.core("events"), event)
    assert kube.names(kube.core("events"), fieldSelector="involvedObject.name=demo,involvedObject.uid=u") == ["e"]
    assert kube.names(kube.core("events"), fieldSelector="reason=Other") == []
