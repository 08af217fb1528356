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
