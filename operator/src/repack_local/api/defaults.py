"""What the API server adds to the built-in kinds and what it refuses of them, as far as this project meets it."""

import copy
from collections.abc import Iterator
from typing import Any

from repack_local.api.statuses import Cause, Object

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"


def complete(kind: str, obj: Object) -> Object:
    """Return the object of a built-in kind with the defaults of its kind; `metadata.uid` is set."""
    match kind:
        case "Job":
            return _job(obj)
        case "Pod":
            return obj | {"spec": _pod_spec(obj.get("spec") or {}), "status": obj.get("status") or {"phase": "Pending"}}
        case "Namespace":
            return _namespace(obj)
        case "CustomResourceDefinition":
            return _custom_resource_definition(obj)
        case "Secret":
            return {"type": "Opaque"} | obj
        case _:
            return obj


def problems(kind: str, obj: Object, old: Object | None) -> list[Cause]:
    """Return what is wrong with an object of a built-in kind."""
    match kind:
        case "Job":
            return [*_job_problems(obj), *(_frozen_job_fields(obj, old) if old else ())]
        case "Pod":
            return [*_pod_spec_problems(obj["spec"], "spec"), *(_frozen_pod_fields(obj, old) if old else ())]
        case "CustomResourceDefinition":
            return list(_crd_problems(obj))
        case _:
            return []


def _namespace(obj: Object) -> Object:
    metadata = obj["metadata"]
    labels = (metadata.get("labels") or {}) | {"kubernetes.io/metadata.name": metadata["name"]}
    return obj | {
        "metadata": metadata | {"labels": labels},
        "spec": obj.get("spec") or {"finalizers": ["kubernetes"]},
        "status": obj.get("status") or {"phase": "Active"},
    }


def _job(obj: Object) -> Object:
    spec = _job_spec(obj)
    metadata = obj["metadata"]
    if not metadata.get("labels"):
        metadata = metadata | {"labels": dict(spec["template"]["metadata"].get("labels") or {})}
    return obj | {"metadata": metadata, "spec": spec}


def _job_spec(obj: Object) -> Object:
    metadata = obj["metadata"]
    spec = {key: value for key, value in (obj.get("spec") or {}).items() if value is not None}
    template = copy.deepcopy(spec.get("template") or {})
    ours = {CONTROLLER_UID: metadata["uid"], JOB_NAME: metadata["name"]}
    template_metadata = template.get("metadata") or {}
    if "selector" not in spec:
        labels = ours | {"controller-uid": metadata["uid"], "job-name": metadata["name"]}
        template_metadata["labels"] = (template_metadata.get("labels") or {}) | labels
    template["metadata"] = template_metadata
    template["spec"] = _pod_spec(template.get("spec") or {})
    replacement = "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed"
    defaults: Object = {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": replacement,
        "manualSelector": False,
        "selector": {"matchLabels": {CONTROLLER_UID: metadata["uid"]}},
    }
    return defaults | spec | {"template": template}


_POD_DEFAULTS: Object = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}

_CONTAINER_DEFAULTS: Object = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent",
    "resources": {},
}


def _pod_spec(spec: Object) -> Object:
    containers = [_CONTAINER_DEFAULTS | container for container in spec.get("containers") or []]
    volumes = {"volumes": [_volume(volume) for volume in spec["volumes"]]} if spec.get("volumes") else {}
    return _POD_DEFAULTS | spec | {"containers": containers} | volumes


def _volume(volume: Object) -> Object:
    if "projected" not in volume:
        return volume
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3600} | source["serviceAccountToken"]}
        if "serviceAccountToken" in source
        else source
        for source in volume["projected"].get("sources") or []
    ]
    return volume | {"projected": {"defaultMode": 420} | volume["projected"] | {"sources": sources}}


def _job_problems(obj: Object) -> Iterator[Cause]:
    spec = obj["spec"]
    pod = spec["template"]["spec"]
    if pod["restartPolicy"] not in {"Never", "OnFailure"}:
        message = 'Required value: valid values: "OnFailure", "Never"'
        yield Cause("spec.template.spec.restartPolicy", message, "FieldValueRequired")
    if spec.get("podFailurePolicy") and pod["restartPolicy"] != "Never":
        message = (
            f'Invalid value: "{pod["restartPolicy"]}": only "Never" is supported when podFailurePolicy is specified'
        )
        yield Cause("spec.template.spec.restartPolicy", message)
    for field in ("backoffLimit", "activeDeadlineSeconds", "parallelism", "completions", "ttlSecondsAfterFinished"):
        value = spec.get(field)
        if isinstance(value, int) and value < 0:
            yield Cause(f"spec.{field}", f"Invalid value: {value}: must be greater than or equal to 0")
    yield from _pod_spec_problems(pod, "spec.template.spec")


def _pod_spec_problems(spec: Object, path: str) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield Cause(f"{path}.containers", "Required value", "FieldValueRequired")
    for index, container in enumerate(spec.get("containers") or []):
        for field in ("name", "image"):
            if not container.get(field):
                yield Cause(f"{path}.containers[{index}].{field}", "Required value", "FieldValueRequired")


def _frozen_job_fields(obj: Object, old: Object) -> Iterator[Cause]:
    new_spec, old_spec = obj["spec"], old["spec"]
    suspended = old_spec.get("suspend") and not (old.get("status") or {}).get("startTime")
    for field in ("selector", "template", "completionMode", "podFailurePolicy", "completions"):
        if field == "template" and suspended:
            continue  # may still be changed (scheduling directives in the real server, all of it here)
        if new_spec.get(field) != old_spec.get(field):
            yield Cause(f"spec.{field}", "Invalid value: field is immutable")


_MUTABLE_IN_PODS = frozenset({"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"})


def _frozen_pod_fields(obj: Object, old: Object) -> Iterator[Cause]:
    def frozen(spec: Object) -> Object:
        containers = [{k: v for k, v in c.items() if k != "image"} for c in spec["containers"]]
        return {k: v for k, v in spec.items() if k not in _MUTABLE_IN_PODS} | {"containers": containers}

    if frozen(obj["spec"]) != frozen(old["spec"]):
        yield Cause(
            "spec",
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing"
            " tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
            "negative)",
            "FieldValueForbidden",
        )


def _custom_resource_definition(obj: Object) -> Object:
    spec: Any = obj.get("spec") or {}
    names = spec.get("names") or {}
    kind = names.get("kind", "")
    names = {"singular": kind.lower(), "listKind": f"{kind}List"} | names
    now = obj["metadata"].get("creationTimestamp")
    conditions = [
        {
            "type": "NamesAccepted",
            "status": "True",
            "lastTransitionTime": now,
            "reason": "NoConflicts",
            "message": "no conflicts found",
        },
        {
            "type": "Established",
            "status": "True",
            "lastTransitionTime": now,
            "reason": "InitialNamesAccepted",
            "message": "the initial names have been accepted",
        },
    ]
    stored = [version["name"] for version in spec.get("versions") or [] if version.get("storage")]
    status = {"conditions": conditions, "acceptedNames": names, "storedVersions": stored}
    return obj | {"spec": {"conversion": {"strategy": "None"}} | spec | {"names": names}, "status": status}


def _crd_problems(obj: Object) -> Iterator[Cause]:
    spec, name = obj["spec"], obj["metadata"]["name"]
    wanted = f"{spec['names'].get('plural')}.{spec.get('group')}"
    if name != wanted:
        message = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        yield Cause("metadata.name", message)
    storage = [version for version in spec.get("versions") or [] if version.get("storage")]
    if len(storage) != 1:
        yield Cause("spec.versions", "Invalid value: must have exactly one version marked as storage version")
    for index, version in enumerate(spec.get("versions") or []):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield Cause(f"spec.versions[{index}].schema.openAPIV3Schema", "Required value", "FieldValueRequired")
