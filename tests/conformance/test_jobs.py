"""The Job controller, as far as it can be seen without running a container."""

from typing import Any

from kubeapi import Kube, a_job, until


def status_of(kube: Kube, name: str = "work") -> dict[str, Any]:
    return dict(kube.get(f"{kube.jobs}/{name}").get("status") or {})


def conditions_of(kube: Kube, name: str = "work") -> dict[str, tuple[str, str, str]]:
    listed = status_of(kube, name).get("conditions") or []
    return {c["type"]: (c["status"], c["reason"], c["message"]) for c in listed}


def pods_of(kube: Kube, name: str = "work") -> list[dict[str, Any]]:
    found = kube.get(kube.core("pods"), labelSelector=f"batch.kubernetes.io/job-name={name}")["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def the_pod(kube: Kube, name: str = "work") -> dict[str, Any]:
    return dict(until(lambda: pods_of(kube, name), what="the Job's Pod")[0])


def end_pod(kube: Kube, pod: dict[str, Any], *, exit_code: int, conditions: list[dict[str, Any]] | None = None) -> None:
    """Write what a kubelet writes when a container ended."""
    terminated = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed", "containerID": "x://y"}
    container = {"name": "worker", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    status = {
        "phase": "Failed" if exit_code else "Succeeded",
        "conditions": conditions or [],
        "containerStatuses": [container | {"state": {"terminated": terminated}}],
    }
    path = f"{kube.core('pods')}/{pod['metadata']['name']}/status"
    assert kube.patch(path, {"status": status}).status_code == 200


def test_a_job_is_filled_in_and_makes_one_pod(kube: Kube) -> None:
    job = kube.create(kube.jobs, a_job())
    spec, uid = job["spec"], job["metadata"]["uid"]
    assert (spec["parallelism"], spec["completions"], spec["backoffLimit"], spec["suspend"]) == (1, 1, 6, False)
    assert (spec["completionMode"], spec["podReplacementPolicy"]) == ("NonIndexed", "TerminatingOrFailed")
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    pod = the_pod(kube)
    wanted = {
        "app": "work",
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "work",
        "controller-uid": uid,
        "job-name": "work",
    }
    assert pod["metadata"]["labels"] == wanted
    assert job["metadata"]["labels"] == wanted
    owner = pod["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("Job", "work", uid, True)
    assert pod["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    assert pod["metadata"]["name"].startswith("work-")
    assert len(pod["metadata"]["name"]) == len("work-") + 5
    container = pod["spec"]["containers"][0]
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 30
    status = until(lambda: status_of(kube).get("active") and status_of(kube), what="the Job to be active")
    assert (status["active"], status["ready"]) == (1, 0)
    assert status["startTime"]


def test_a_job_needs_a_pod_that_ends(kube: Kube) -> None:
    job = a_job()
    job["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    response = kube.client.post(kube.jobs, json=job)
    assert response.status_code == 422
    fields = [cause["field"] for cause in response.json()["details"]["causes"]]
    assert fields == ["spec.template.spec.restartPolicy"]
    job["spec"]["template"]["spec"] |= {"restartPolicy": "Never", "containers": []}
    assert "spec.template.spec.containers" in kube.client.post(kube.jobs, json=job).text


def test_the_template_of_a_job_is_immutable(kube: Kube) -> None:
    kube.create(kube.jobs, a_job())
    until(lambda: status_of(kube).get("startTime"), what="the Job to start")
    template = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 5}}}}
    response = kube.patch(f"{kube.jobs}/work", template)
    assert response.status_code == 422
    assert "field is immutable" in response.json()["message"]


def test_a_pod_that_succeeds_completes_the_job(kube: Kube) -> None:
    kube.create(kube.jobs, a_job())
    end_pod(kube, the_pod(kube), exit_code=0)
    until(lambda: "Complete" in conditions_of(kube), what="the Job to complete")
    conditions, status = conditions_of(kube), status_of(kube)
    reached = ("True", "CompletionsReached", "Reached expected number of succeeded pods")
    assert conditions == {"SuccessCriteriaMet": reached, "Complete": reached}
    assert status["succeeded"] == 1
    assert "active" not in status
    assert "failed" not in status
    assert status["completionTime"] >= status["startTime"]
    until(lambda: "finalizers" not in pods_of(kube)[0]["metadata"], what="the Pod to be released")


def test_a_pod_that_fails_fails_the_job_at_its_limit(kube: Kube) -> None:
    kube.create(kube.jobs, a_job(backoffLimit=0))
    end_pod(kube, the_pod(kube), exit_code=1)
    until(lambda: "Failed" in conditions_of(kube), what="the Job to fail")
    reached = ("True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert conditions_of(kube) == {"FailureTarget": reached, "Failed": reached}
    assert status_of(kube)["failed"] == 1
    assert "completionTime" not in status_of(kube)


def test_a_failure_policy_fails_the_job_by_exit_code(kube: Kube) -> None:
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "worker", "operator": "In", "values": [11, 12]}},
    ]
    kube.create(kube.jobs, a_job(backoffLimit=3, podFailurePolicy={"rules": rules}))
    assert kube.get(f"{kube.jobs}/work")["spec"]["podReplacementPolicy"] == "Failed"
    pod = the_pod(kube)
    end_pod(kube, pod, exit_code=11)
    until(lambda: "Failed" in conditions_of(kube), what="the Job to fail")
    name = f"{kube.namespace}/{pod['metadata']['name']}"
    message = f"Container worker for pod {name} failed with exit code 11 matching FailJob rule at index 1"
    assert conditions_of(kube)["Failed"] == ("True", "PodFailurePolicy", message)


def test_a_disrupted_pod_is_replaced_and_not_counted(kube: Kube) -> None:
    rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    kube.create(kube.jobs, a_job(backoffLimit=0, podFailurePolicy={"rules": rules}))
    first = the_pod(kube)
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
    end_pod(kube, first, exit_code=137, conditions=[disrupted])
    until(
        lambda: {pod["metadata"]["name"] for pod in pods_of(kube)} - {first["metadata"]["name"]},
        what="a replacement",
        seconds=40,
    )
    assert "Failed" not in conditions_of(kube)
    assert "failed" not in status_of(kube)


def test_a_pod_deleted_by_hand_counts_as_failed(kube: Kube) -> None:
    kube.create(kube.jobs, a_job(backoffLimit=0))
    pod = the_pod(kube)
    assert kube.delete(f"{kube.core('pods')}/{pod['metadata']['name']}").status_code == 200
    until(lambda: "Failed" in conditions_of(kube), what="the Job to fail", seconds=40)
    assert conditions_of(kube)["Failed"][1] == "BackoffLimitExceeded"
    until(lambda: not pods_of(kube), what="the Pod to go")


def test_a_deadline_fails_the_job_and_takes_its_pod(kube: Kube) -> None:
    kube.create(kube.jobs, a_job(activeDeadlineSeconds=1))
    the_pod(kube)
    until(lambda: "Failed" in conditions_of(kube), what="the Job to fail", seconds=40)
    late = ("True", "DeadlineExceeded", "Job was active longer than specified deadline")
    assert conditions_of(kube) == {"FailureTarget": late, "Failed": late}
    until(lambda: not pods_of(kube), what="the Pod to go")


def test_a_suspended_job_has_no_pod_until_it_is_resumed(kube: Kube) -> None:
    kube.create(kube.jobs, a_job(suspend=True))
    until(lambda: "Suspended" in conditions_of(kube), what="the Job to be suspended")
    assert conditions_of(kube) == {"Suspended": ("True", "JobSuspended", "Job suspended")}
    assert "startTime" not in status_of(kube)
    assert pods_of(kube) == []
    path = f"{kube.jobs}/work"
    kube.patch(path, {"spec": {"suspend": False}})
    the_pod(kube)
    until(lambda: conditions_of(kube)["Suspended"][0] == "False", what="the Job to be resumed")
    assert conditions_of(kube)["Suspended"] == ("False", "JobResumed", "Job resumed")
    kube.patch(path, {"spec": {"suspend": True}})
    until(lambda: not pods_of(kube), what="the Pod to go")
    until(lambda: conditions_of(kube)["Suspended"][0] == "True", what="the Job to be suspended again")
    assert "failed" not in status_of(kube), "a Pod that a suspension took is no failure"


def test_a_finished_job_goes_after_its_time(kube: Kube) -> None:
    kube.create(kube.jobs, a_job(ttlSecondsAfterFinished=1))
    end_pod(kube, the_pod(kube), exit_code=0)
    until(lambda: not kube.exists(f"{kube.jobs}/work"), what="the Job to go", seconds=40)
    until(lambda: not kube.names(kube.core("pods")), what="its Pod to go", seconds=40)
