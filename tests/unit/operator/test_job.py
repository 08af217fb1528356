import json

import pytest

from builders import a_task
from repack_contract.order import WorkOrder
from repack_kube.resources import Object
from repack_operator.job import job_manifest
from repack_operator.settings import Profile, Settings


def the_job(settings: Settings | None = None, *, attempt: int = 1, memory_step: int = 0, **spec: object) -> Object:
    return job_manifest(a_task(spec=spec), settings or Settings(), attempt=attempt, memory_step=memory_step)


def pod_of(job: Object) -> Object:
    return job["spec"]["template"]["spec"]


def env_of(job: Object) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in pod_of(job)["containers"][0]["env"]}


def test_the_order_is_in_the_environment_and_can_be_read_back() -> None:
    order = WorkOrder.model_validate_json(env_of(the_job(attempt=3))["REPACK_ORDER"])

    assert (order.uid, order.name, order.attempt) == ("uid-1", "demo", 3)
    assert order.spec.source.url is not None


def test_name_labels_and_owner_make_it_found_again() -> None:
    job = the_job(attempt=2)

    assert job["metadata"]["name"] == "rpt-demo-2"
    assert job["metadata"]["labels"]["dify-repack.io/task-uid"] == "uid-1"
    assert job["spec"]["template"]["metadata"]["labels"]["dify-repack.io/attempt"] == "2"
    assert job["metadata"]["ownerReferences"][0] | {"controller": True} == job["metadata"]["ownerReferences"][0]
    assert job["metadata"]["ownerReferences"][0]["uid"] == "uid-1"


def test_the_pod_asks_for_nothing_that_pod_security_restricted_refuses() -> None:
    pod = pod_of(the_job())
    container = pod["containers"][0]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} <= {"emptyDir", "projected"}


def test_a_disruption_is_ignored_and_an_error_of_the_user_ends_the_job() -> None:
    disruption, hopeless = the_job()["spec"]["podFailurePolicy"]["rules"]

    assert disruption["action"] == "Ignore"
    assert hopeless["onExitCodes"]["values"] == [10, 11, 12, 13, 14, 15, 16, 18, 19]
    assert the_job()["spec"]["podReplacementPolicy"] == "Failed"
    assert the_job()["spec"]["backoffLimit"] == 0


def test_the_deadline_is_that_of_the_task() -> None:
    assert the_job(activeDeadlineSeconds=77)["spec"]["activeDeadlineSeconds"] == 77


def test_a_profile_gives_image_memory_and_node() -> None:
    large = Profile(image="other@sha256:1", memory=["2Gi", "8Gi"], node_selector={"disk": "fast"})
    settings = Settings(profiles={"default": Profile(), "large": large})

    job = the_job(settings, profile="large")
    assert pod_of(job)["containers"][0]["image"] == "other@sha256:1"
    assert pod_of(job)["containers"][0]["resources"]["limits"]["memory"] == "2Gi"
    assert pod_of(job)["nodeSelector"] == {"disk": "fast"}
    more = the_job(settings, profile="large", memory_step=1)
    assert pod_of(more)["containers"][0]["resources"]["limits"]["memory"] == "8Gi"
    most = the_job(settings, profile="large", memory_step=5)
    assert pod_of(most)["containers"][0]["resources"]["limits"]["memory"] == "8Gi"


def test_the_worker_gets_a_token_for_ingest_and_nothing_else() -> None:
    job = the_job(Settings(ingest_url="http://dashboard:8080"))

    token = pod_of(job)["volumes"][-1]["projected"]["sources"][0]["serviceAccountToken"]
    assert token["audience"] == "dify-repack-ingest"
    assert env_of(job)["REPACK_INGEST_URL"] == "http://dashboard:8080"
    assert env_of(job)["REPACK_INGEST_TOKEN_FILE"] == "/var/run/secrets/dify-repack/token"


def test_without_a_dashboard_there_is_no_address_and_no_token() -> None:
    job = the_job()

    assert "REPACK_INGEST_URL" not in env_of(job)
    assert len(pod_of(job)["volumes"]) == 2


def test_settings_of_workers_are_passed_on_but_cannot_replace_the_order() -> None:
    job = the_job(Settings(worker_env={"REPACK_CACHE": "/x", "REPACK_ORDER": "{}"}))

    assert env_of(job)["REPACK_CACHE"] == "/x"
    assert json.loads(env_of(job)["REPACK_ORDER"])["name"] == "demo"


def test_secrets_and_certificates_of_the_namespace_reach_the_worker() -> None:
    pod = pod_of(
        the_job(Settings(worker_env_from_secrets=["index"], worker_ca_config_map="ca", worker_ca_key="all.pem"))
    )
    container = pod["containers"][0]

    assert container["envFrom"] == [{"secretRef": {"name": "index"}}]
    assert {"name": "SSL_CERT_FILE", "value": "/etc/dify-repack/ca/all.pem"} in container["env"]
    assert {"name": "ca", "mountPath": "/etc/dify-repack/ca", "readOnly": True} in container["volumeMounts"]
    assert {"name": "ca", "configMap": {"name": "ca"}} in pod["volumes"]


def test_secrets_with_files_are_mounted_by_their_names() -> None:
    pod = pod_of(the_job(Settings(worker_mounted_secrets=["signing-key"])))
    mount = {"name": "secret-0", "mountPath": "/etc/dify-repack/secrets/signing-key", "readOnly": True}

    assert {"name": "secret-0", "secret": {"secretName": "signing-key"}} in pod["volumes"]
    assert mount in pod["containers"][0]["volumeMounts"]


@pytest.mark.parametrize(("storage", "asked"), [("8Gi", "1Gi"), ("512Mi", "512Mi"), ("1G", "1G"), ("2e9", "1Gi")])
def test_a_job_asks_for_no_more_storage_than_its_profile_allows(storage: str, asked: str) -> None:
    resources = pod_of(the_job(Settings(profiles={"default": Profile(storage=storage)})))["containers"][0]["resources"]

    assert resources["requests"]["ephemeral-storage"] == asked
    assert resources["limits"]["ephemeral-storage"] == storage
