"""The real kubectl, as users have it."""

import json
import re

import yaml

from kubeapi import Kube, a_job, a_manifest, until


def a_yaml(name: str = "demo", **spec: object) -> str:
    return yaml.safe_dump(a_manifest(name, **spec))


def finished(kube: Kube, name: str = "demo") -> None:
    """Bring a task to its end as the operator would."""
    at = "2026-01-02T03:04:05Z"
    condition = {"type": "Complete", "status": "True", "reason": "Verified", "lastTransitionTime": at}
    artifact = {"target": "amd64", "uri": "/artifacts/a", "verification": {"method": "SeccompFilter", "passed": True}}
    status = {
        "phase": "Succeeded",
        "attempt": 1,
        "duration": "12s",
        "progress": {"percent": 100},
        "plugin": {"displayName": "Tool"},
        "artifacts": [artifact],
        "conditions": [condition],
        "job": {"name": f"rpt-{name}-1"},
        "reason": "Done",
        "message": "All is well.",
    }
    assert kube.set_status(name, status).status_code == 200


def test_apply_creates_then_finds_nothing_to_do_then_changes(kube: Kube) -> None:
    assert "demo created" in kube.kubectl("apply", "-f", "-", given=a_yaml())
    assert "demo unchanged" in kube.kubectl("apply", "-f", "-", given=a_yaml())
    assert "demo configured" in kube.kubectl("apply", "-f", "-", given=a_yaml(priority=7))
    assert kube.get(f"{kube.tasks}/demo")["spec"]["priority"] == 7
    assert "demo configured" in kube.kubectl("apply", "-f", "-", given=a_yaml())
    assert kube.get(f"{kube.tasks}/demo")["spec"]["priority"] == 0, "a field taken out of the file goes"


def test_apply_refuses_a_misspelt_field(kube: Kube) -> None:
    output = kube.kubectl("apply", "-f", "-", given=a_yaml(pyhton="3.12"), check=False)
    assert 'unknown field "spec.pyhton"' in output
    assert not kube.exists(f"{kube.tasks}/demo")


def test_apply_shows_the_words_of_a_rule(kube: Kube) -> None:
    kube.kubectl("apply", "-f", "-", given=a_yaml())
    output = kube.kubectl("apply", "-f", "-", given=a_yaml(mode="Dual"), check=False)
    assert "spec.mode is immutable" in output


def test_server_side_apply_works(kube: Kube) -> None:
    assert "serverside-applied" in kube.kubectl("apply", "--server-side", "-f", "-", given=a_yaml(priority=3))
    assert "serverside-applied" in kube.kubectl("apply", "--server-side", "-f", "-", given=a_yaml())
    assert kube.get(f"{kube.tasks}/demo")["spec"]["priority"] == 0


def test_a_dry_run_on_the_server_shows_the_defaults(kube: Kube) -> None:
    output = kube.kubectl("apply", "--dry-run=server", "-o", "json", "-f", "-", given=a_yaml())
    assert json.loads(output)["spec"]["retry"]["limit"] == 2
    assert not kube.exists(f"{kube.tasks}/demo")


def test_create_replace_patch_label_and_annotate(kube: Kube) -> None:
    assert "created" in kube.kubectl("create", "-f", "-", given=a_yaml())
    assert "AlreadyExists" in kube.kubectl("create", "-f", "-", given=a_yaml(), check=False)
    assert "replaced" in kube.kubectl("replace", "-f", "-", given=a_yaml(priority=1))
    assert "patched" in kube.kubectl("patch", "rpt", "demo", "--type=merge", "-p", '{"spec":{"priority":2}}')
    assert "labeled" in kube.kubectl("label", "rpt", "demo", "a=b")
    assert "annotated" in kube.kubectl("annotate", "rpt", "demo", "c=d")
    stored = kube.get(f"{kube.tasks}/demo")
    assert (stored["spec"]["priority"], stored["metadata"]["labels"]) == (2, {"a": "b"})
    assert stored["metadata"]["annotations"]["c"] == "d"


def test_get_shows_our_columns(kube: Kube) -> None:
    kube.kubectl("apply", "-f", "-", given=a_yaml())
    header, empty = kube.kubectl("get", "rpt").splitlines()
    assert header.split() == ["NAME", "PHASE", "PROGRESS", "PLUGIN", "ATTEMPT", "DURATION", "AGE"]
    assert re.fullmatch(r"demo +\d+s", empty)
    finished(kube)
    row = kube.kubectl("get", "rpt").splitlines()[1]
    assert re.fullmatch(r"demo +Succeeded +100 +Tool +1 +12s +\d+s", row)


def test_get_wide_shows_more(kube: Kube) -> None:
    kube.kubectl("apply", "-f", "-", given=a_yaml())
    finished(kube)
    header, row = kube.kubectl("get", "rpt", "-o", "wide").splitlines()
    assert header.split()[6:] == ["REASON", "JOB", "ARTIFACT", "MESSAGE", "AGE"]
    assert re.search(r"Done +rpt-demo-1 +/artifacts/a +All is well\. +\d+s$", row)


def test_get_by_name_label_field_and_for_all_namespaces(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest("a", labels={"x": "1"}))
    kube.create(kube.tasks, a_manifest("b"))
    finished(kube, "b")
    assert kube.kubectl("get", "rpt", "-l", "x=1", "-o", "name").split() == ["repackagetask.dify-repack.io/a"]
    selected = kube.kubectl("get", "rpt", "--field-selector", "status.phase=Succeeded", "-o", "name")
    assert selected.split() == ["repackagetask.dify-repack.io/b"]
    assert kube.kubectl("get", "repackagetask/b", "-o", "jsonpath={.status.phase}") == "Succeeded"
    assert kube.namespace in kube.kubectl("get", "rpt", "-A")
    assert "repackagetask.dify-repack.io/a" in kube.kubectl("get", "all")
    assert re.search(r"^a ", kube.kubectl("get", "dify"), re.MULTILINE)
    missing = kube.kubectl("get", "rpt", "nope", check=False)
    assert 'Error from server (NotFound): repackagetasks.dify-repack.io "nope" not found' in missing
    assert "No resources found" in kube.kubectl("get", "jobs")


def test_get_watch_prints_each_change(kube: Kube) -> None:
    kube.kubectl("apply", "-f", "-", given=a_yaml())
    with kube.kubectl_running("get", "rpt", "-w") as process:
        assert process.stdout is not None
        assert process.stdout.readline().split()[:2] == ["NAME", "PHASE"]
        assert process.stdout.readline().split()[0] == "demo"
        kube.set_status("demo", {"phase": "Running", "progress": {"percent": 40}})
        assert process.stdout.readline().split()[:3] == ["demo", "Running", "40"]
        finished(kube)
        assert process.stdout.readline().split()[:4] == ["demo", "Succeeded", "100", "Tool"]


def test_wait_ends_when_the_condition_comes(kube: Kube) -> None:
    kube.kubectl("apply", "-f", "-", given=a_yaml())
    in_vain = kube.kubectl("wait", "--for=condition=complete", "rpt/demo", "--timeout=1s", check=False)
    assert "timed out waiting for the condition" in in_vain
    with kube.kubectl_running("wait", "--for=condition=complete", "rpt/demo", "--timeout=20s") as process:
        finished(kube)
        assert process.stdout is not None
        assert process.stdout.read().strip() == "repackagetask.dify-repack.io/demo condition met"
    assert "condition met" in kube.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "rpt/demo")


def test_describe_shows_the_object_and_its_events(kube: Kube) -> None:
    made = kube.create(kube.tasks, a_manifest())
    finished(kube)
    metadata = made["metadata"]
    involved = {
        "apiVersion": made["apiVersion"],
        "kind": made["kind"],
        **{key: metadata[key] for key in ("name", "namespace", "uid")},
    }
    now = metadata["creationTimestamp"]
    event = {
        "metadata": {"name": "demo.1"},
        "involvedObject": involved,
        "type": "Normal",
        "reason": "Admitted",
        "message": "The task has a slot.",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "source": {"component": "dify-repack-operator"},
    }
    kube.create(kube.core("events"), event)
    output = kube.kubectl("describe", "rpt", "demo")
    assert re.search(r"^Kind: +RepackageTask$", output, re.MULTILINE)
    assert re.search(r"^ +Phase: +Succeeded$", output, re.MULTILINE)
    assert re.search(r"Normal +Admitted +\S+ +dify-repack-operator +The task has a slot\.", output)
    assert "The task has a slot." in kube.kubectl("get", "events")


def test_delete_waits_until_the_object_is_gone(kube: Kube) -> None:
    kube.kubectl("apply", "-f", "-", given=a_yaml("a"))
    kube.kubectl("apply", "-f", "-", given=a_yaml("b"))
    assert 'repackagetask.dify-repack.io "a" deleted' in kube.kubectl("delete", "rpt", "a")
    assert not kube.exists(f"{kube.tasks}/a")
    kube.kubectl("delete", "rpt", "--all")
    assert kube.names(kube.tasks) == []
    assert kube.kubectl("delete", "rpt", "a", "--ignore-not-found").strip() == ""


def test_explain_tells_the_fields(kube: Kube) -> None:
    output = kube.kubectl("explain", "rpt.spec")
    assert re.search(r"^KIND: +RepackageTask$", output, re.MULTILINE)
    assert re.search(r"^ +targets\t<\[\]Object> -required-$", output, re.MULTILINE)
    assert "default: " in output or "priority\t<integer>" in output
    assert "enum: Marketplace, GitHub, URL, Upload" in kube.kubectl("explain", "rpt.spec.source")


def test_namespaces_are_created_listed_and_deleted(kube: Kube) -> None:
    name = f"{kube.namespace}-k"
    assert f"namespace/{name} created" in kube.kubectl("create", "namespace", name)
    assert re.search(rf"^{name} +Active +\d+s$", kube.kubectl("get", "ns"), re.MULTILINE)
    assert "deleted" in kube.kubectl("delete", "namespace", name)
    assert not kube.exists(f"/api/v1/namespaces/{name}")


def test_auth_and_discovery_commands_work(kube: Kube) -> None:
    assert kube.kubectl("auth", "can-i", "create", "rpt").strip() == "yes"
    assert re.search(r"^repackagetasks +rpt +dify-repack.io/v1alpha1 +true +RepackageTask$", _resources(kube), re.M)
    assert "dify-repack.io/v1alpha1" in kube.kubectl("api-versions").split()
    assert "Server Version: v1." in kube.kubectl("version")
    assert kube.kubectl("get", "--raw", "/readyz") == "ok"
    columns = kube.kubectl("get", "crd", "repackagetasks.dify-repack.io").splitlines()[0]
    assert "CREATED AT" in columns


def _resources(kube: Kube) -> str:
    return kube.kubectl("api-resources")


def test_secrets_and_config_maps_are_made_and_read(kube: Kube) -> None:
    kube.kubectl("create", "secret", "generic", "s", "--from-literal=a=b")
    assert kube.kubectl("get", "secret", "s", "-o", "jsonpath={.data.a}") == "Yg=="
    kube.kubectl("create", "configmap", "c", "--from-literal=a=b")
    assert kube.kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}") == "b"


def test_a_job_is_applied_twice_and_described(kube: Kube) -> None:
    job = yaml.safe_dump({"apiVersion": "batch/v1", "kind": "Job", **a_job()})
    assert "job.batch/work created" in kube.kubectl("apply", "-f", "-", given=job)
    assert "job.batch/work unchanged" in kube.kubectl("apply", "-f", "-", given=job)
    until(lambda: kube.names(kube.core("pods")), what="the Job's Pod")
    header, row = kube.kubectl("get", "jobs").splitlines()
    assert header.split() == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]
    assert re.fullmatch(r"work +Running +0/1 +\d+s +\d+s", row)
    header, row = kube.kubectl("get", "pods").splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert re.fullmatch(r"work-[a-z0-9]{5} +0/1 +Pending +0 +\d+s", row)
    described = until(lambda: _described_with_event(kube), what="the event of the Pod's creation")
    assert re.search(r"^Selector: +batch.kubernetes.io/controller-uid=", described, re.MULTILINE)
    assert kube.kubectl("describe", "pods", "-l", "job-name=work").startswith("Name: ")


def _described_with_event(kube: Kube) -> str:
    output = kube.kubectl("describe", "job", "work")
    return output if re.search(r"Normal +SuccessfulCreate +\S+ +job-controller +Created pod: work-", output) else ""


def test_the_log_of_a_pod_that_never_started_says_so(kube: Kube) -> None:
    kube.create(kube.jobs, a_job())
    until(lambda: kube.names(kube.core("pods")), what="the Job's Pod")
    output = kube.kubectl("logs", "job/work", "--pod-running-timeout=1s", check=False)
    assert output.strip() == "" or "error" in output.lower()


def test_a_lease_shows_its_holder(kube: Kube) -> None:
    kube.create(kube.leases, {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "me"}})
    header, row = kube.kubectl("get", "leases").splitlines()
    assert header.split() == ["NAME", "HOLDER", "AGE"]
    assert row.split()[:2] == ["leader", "me"]
