"""Builders of the objects that many tests need: say what matters, the rest has a sensible value."""

from typing import Any

from repack_contract.task import RepackageTask


def a_task_object(
    *,
    name: str = "demo",
    namespace: str = "default",
    uid: str = "uid-1",
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a RepackageTask as the API server would answer it; `spec` and `metadata` are merged over the default."""
    return {
        "apiVersion": "dify-repack.io/v1alpha1",
        "kind": "RepackageTask",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": "2026-11-23T05:00:00Z",
            **(metadata or {}),
        },
        "spec": {
            "source": {"type": "URL", "url": {"url": "http://files.test/plugin.difypkg"}},
            "targets": [{"arch": "amd64"}],
            **(spec or {}),
        },
        "status": status or {},
    }


def a_task(**parts: Any) -> RepackageTask:
    """Return a RepackageTask; arguments as `a_task_object`."""
    return RepackageTask.model_validate(a_task_object(**parts))


def a_job_object(
    *,
    task: str = "demo",
    attempt: int = 1,
    uid: str = "",
    task_uid: str = "uid-1",
    conditions: dict[str, str] | None = None,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the Job of an attempt as the API server would answer it; `conditions` maps types to reasons."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"rpt-{task}-{attempt}",
            "namespace": "default",
            "uid": uid or f"job-{attempt}",
            "resourceVersion": "1",
            "creationTimestamp": "2026-11-23T05:00:10Z",
            "labels": {
                "dify-repack.io/task": task,
                "dify-repack.io/task-uid": task_uid,
                "dify-repack.io/attempt": str(attempt),
            },
            "ownerReferences": [{"kind": "RepackageTask", "name": task, "uid": task_uid, "controller": True}],
            **(metadata or {}),
        },
        "spec": {},
        "status": {
            "conditions": [
                {"type": kind, "status": "True", "reason": reason} for kind, reason in (conditions or {}).items()
            ]
        },
    }


def a_pod_object(
    *,
    task: str = "demo",
    attempt: int = 1,
    uid: str = "",
    task_uid: str = "uid-1",
    phase: str = "Running",
    state: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the Pod of an attempt; `state` is that of its container (running, terminated or waiting)."""
    containers = [{"name": "worker", "state": state}] if state is not None else []
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"rpt-{task}-{attempt}-x",
            "namespace": "default",
            "uid": uid or f"pod-{attempt}",
            "resourceVersion": "1",
            "creationTimestamp": "2026-11-23T05:00:11Z",
            "labels": {
                "dify-repack.io/task": task,
                "dify-repack.io/task-uid": task_uid,
                "dify-repack.io/attempt": str(attempt),
            },
            **(metadata or {}),
        },
        "status": {"phase": phase, "containerStatuses": containers, **(status or {})},
    }
