"""The Job of one attempt. Pure: task and settings in, manifest out (operator.md 6.4).

Fit for Pod Security "restricted". Retries are Jobs of their own (`backoffLimit: 0`), because the history of attempts
belongs to the task; only a Pod that was disrupted from outside is replaced by the Job itself.
"""

from typing import Any

from repack_contract.naming import (
    INGEST_AUDIENCE,
    LABEL_ATTEMPT,
    LABEL_TASK,
    LABEL_TASK_UID,
    job_name,
)
from repack_contract.order import ORDER_VARIABLE, WorkOrder
from repack_contract.reasons import REASONS, FailureClass
from repack_contract.task import RepackageTask
from repack_kube.resources import TASKS, Object
from repack_operator.settings import DEFAULT_PROFILE, Profile, Settings

USER_ID = 65532
CONTAINER = "worker"
WORK_DIR = "/work"
TOKEN_DIR = "/var/run/secrets/dify-repack"  # noqa: S105 - a folder
TOKEN_FILE = f"{TOKEN_DIR}/token"
CA_DIR = "/etc/dify-repack/ca"
SECRETS_DIR = "/etc/dify-repack/secrets"
_TOKEN_SECONDS = 3600
_GRACE_SECONDS = 30
"""After SIGTERM: time for the worker to send its last lines."""


def job_manifest(task: RepackageTask, settings: Settings, *, attempt: int, memory_step: int = 0) -> Object:
    """Return the Job of an attempt.

    Args:
        task: what is to be done.
        settings: image, profiles, where the dashboard is.
        attempt: number of the attempt, from 1.
        memory_step: which of the profile's memory sizes to take; the last one where it has no more.
    """
    profile = settings.profiles[task.spec.profile or DEFAULT_PROFILE]
    labels = _labels(task, attempt=attempt)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(task.metadata.name, attempt=attempt),
            "namespace": task.metadata.namespace,
            "labels": labels,
            "ownerReferences": [_owner(task)],
        },
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "activeDeadlineSeconds": task.spec.active_deadline_seconds,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _pod_failure_rules()},
            "template": {
                "metadata": {"labels": labels, "annotations": _ANNOTATIONS},
                "spec": _pod_spec(task, settings, profile, attempt=attempt, memory_step=memory_step),
            },
        },
    }


_ANNOTATIONS = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}


def _labels(task: RepackageTask, *, attempt: int) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "dify-repack",
        "app.kubernetes.io/component": "worker",
        "app.kubernetes.io/managed-by": "dify-repack-operator",
        LABEL_TASK: task.metadata.name,
        LABEL_TASK_UID: task.metadata.uid,
        LABEL_ATTEMPT: str(attempt),
    }


def _owner(task: RepackageTask) -> dict[str, Any]:
    return {
        "apiVersion": TASKS.api_version,
        "kind": TASKS.kind,
        "name": task.metadata.name,
        "uid": task.metadata.uid,
        "controller": True,
        # Setting it would need the right to update finalizers of tasks where that admission plugin is on.
        "blockOwnerDeletion": False,
    }


def _pod_failure_rules() -> list[dict[str, Any]]:
    hopeless = sorted(
        facts.exit_code
        for facts in REASONS.values()
        if facts.exit_code is not None and facts.failure_class in {FailureClass.USER, FailureClass.ARTIFACT}
    )
    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": hopeless}},
    ]


def _pod_spec(
    task: RepackageTask, settings: Settings, profile: Profile, *, attempt: int, memory_step: int
) -> dict[str, Any]:
    account = profile.service_account or settings.worker_service_account
    optional = {
        "serviceAccountName": account,
        "nodeSelector": profile.node_selector,
        "runtimeClassName": profile.runtime_class,
        "imagePullSecrets": [{"name": name} for name in settings.worker_image_pull_secrets],
    }
    volumes, mounts = _volumes(settings, profile)
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": profile.image or settings.worker_image,
                "imagePullPolicy": settings.worker_image_pull_policy,
                "command": settings.worker_command,
                "env": [
                    {"name": name, "value": value}
                    for name, value in _environment(task, settings, attempt=attempt).items()
                ],
                "envFrom": [{"secretRef": {"name": name}} for name in settings.worker_env_from_secrets],
                "resources": _resources(profile, memory_step=memory_step),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
        **{key: value for key, value in optional.items() if value},
    }


def _environment(task: RepackageTask, settings: Settings, *, attempt: int) -> dict[str, str]:
    order = WorkOrder.of(task, attempt=attempt).model_dump_json(exclude_none=True)
    environment = {
        **settings.worker_env,
        ORDER_VARIABLE: order,
        "REPACK_WORK_DIR": WORK_DIR,
        "HOME": WORK_DIR,
        "TMPDIR": "/tmp",  # noqa: S108 - a volume of its own in the container
    }
    if settings.worker_ca_config_map:
        environment["SSL_CERT_FILE"] = f"{CA_DIR}/{settings.worker_ca_key}"
    url = settings.worker_ingest_url or settings.ingest_url
    if url is not None:
        environment["REPACK_INGEST_URL"] = url
        environment["REPACK_INGEST_TOKEN_FILE"] = TOKEN_FILE
    return environment


_STORAGE_REQUEST = "1Gi"
"""What the scheduler looks for; a profile with less storage than that asks for all of its own."""
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _bytes(quantity: str) -> float:
    """Return a quantity of storage in bytes (kubernetes.io: resource units); infinite where it is written otherwise."""
    number = quantity.rstrip("kMGTi")
    try:
        return float(number) * _UNITS[quantity[len(number) :]]
    except (ValueError, KeyError):
        return float("inf")  # the API server judges it


def _resources(profile: Profile, *, memory_step: int) -> dict[str, dict[str, str]]:
    memory = profile.memory[min(memory_step, len(profile.memory) - 1)]
    return {
        "requests": {
            "cpu": profile.cpu,
            "memory": memory,
            "ephemeral-storage": min(profile.storage, _STORAGE_REQUEST, key=_bytes),
        },
        "limits": {"memory": memory, "ephemeral-storage": profile.storage},
    }


def _volumes(settings: Settings, profile: Profile) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes: list[dict[str, Any]] = [
        {"name": "work", "emptyDir": {"sizeLimit": profile.storage}},
        {"name": "tmp", "emptyDir": {"sizeLimit": profile.storage}},
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "work", "mountPath": WORK_DIR},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - as above
    ]
    if settings.worker_ingest_url or settings.ingest_url:
        token = {"audience": INGEST_AUDIENCE, "expirationSeconds": _TOKEN_SECONDS, "path": "token"}
        volumes.append({"name": "ingest-token", "projected": {"sources": [{"serviceAccountToken": token}]}})
        mounts.append({"name": "ingest-token", "mountPath": TOKEN_DIR, "readOnly": True})
    for number, name in enumerate(settings.worker_mounted_secrets):
        volumes.append({"name": f"secret-{number}", "secret": {"secretName": name}})
        mounts.append({"name": f"secret-{number}", "mountPath": f"{SECRETS_DIR}/{name}", "readOnly": True})
    if settings.worker_ca_config_map:
        volumes.append({"name": "ca", "configMap": {"name": settings.worker_ca_config_map}})
        mounts.append({"name": "ca", "mountPath": CA_DIR, "readOnly": True})
    return volumes, mounts
