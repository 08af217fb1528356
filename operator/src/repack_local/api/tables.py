"""Objects as the table that `kubectl get` prints: the printer columns of custom resources, the usual ones of others."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from repack_local.api.kinds import Column, Resource
from repack_local.api.statuses import Object

Cells = Callable[[Object, datetime], list[Any]]

_STEP = re.compile(r"\.?([A-Za-z0-9_-]+)|\[(\d+)\]|\[\?\(@\.(\w+)\s*==\s*['\"]([^'\"]*)['\"]\)\]")


def table(resource: Resource, objs: Sequence[Object], *, now: datetime, include: str, header: bool = True) -> Object:
    """Return the rows of objects as a Table.

    Args:
        resource: what the objects are.
        objs: the rows, in order.
        now: the time that ages are counted to.
        include: what comes with each row: `None`, `Metadata` or `Object`.
        header: whether to describe the columns; of a stream only the first event does.
    """
    columns, cells = _columns(resource)
    result: Object = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}}
    result["columnDefinitions"] = [_definition(column) for column in columns] if header else None
    result["rows"] = [{"cells": cells(obj, now)} | _included(obj, include) for obj in objs]
    return result


def _included(obj: Object, include: str) -> Object:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": obj}
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return {"object": partial}


def _definition(column: Column) -> Object:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


_NAME = Column("Name", "string", ".metadata.name", format="name", description="Name must be unique within a namespace.")
_AGE = Column("Age", "string", ".metadata.creationTimestamp")


def _text(*names: str, wide: Sequence[str] = ()) -> list[Column]:
    return [Column(name, "string", "", 1 if name in wide else 0) for name in names]


def _columns(resource: Resource) -> tuple[Sequence[Column], Cells]:
    if resource.schema is not None:
        return [_NAME, *resource.columns], lambda obj, now: [
            obj["metadata"]["name"],
            *(_cell(obj, column, now) for column in resource.columns),
        ]
    return _BUILT_IN.get(resource.kind, ([_NAME, _AGE], lambda obj, now: [obj["metadata"]["name"], _age(obj, now)]))


def _cell(obj: Object, column: Column, now: datetime) -> Any:
    value = json_path(obj, column.json_path)
    if column.type == "date":
        return since(value, now) if value else "<unknown>"
    if value is None or column.type in {"integer", "number", "boolean"}:
        return value
    return value if isinstance(value, str) else str(value)


def json_path(obj: Any, path: str) -> Any:
    """Return what a printer column's path points at, None where it is not there; one value, as columns show."""
    for name, index, key, wanted in _STEP.findall(path):
        if name:
            obj = obj.get(name) if isinstance(obj, dict) else None
        elif not isinstance(obj, list):
            return None
        elif index:
            obj = obj[int(index)] if int(index) < len(obj) else None
        else:
            obj = next((item for item in obj if item.get(key) == wanted), None)
    return obj


def since(text: str | None, now: datetime) -> str:
    """Return the time that has passed, as kubectl shows ages."""
    if not text:
        return "<unknown>"
    return duration((now - datetime.fromisoformat(text)).total_seconds())


def duration(seconds: float) -> str:
    """Return a length of time with at most two units, the coarser the longer it is."""
    total = max(int(seconds), 0)
    _, unit, lower = next(row for row in _UNITS if total < row[0])
    name, size = unit
    text = f"{total // size}{name}"
    if lower is None:
        return text
    rest = total % size // lower[1]
    return f"{text}{rest}{lower[0]}" if rest else text


_S, _M, _H, _D, _Y = ("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("y", 365 * 86400)
_UNITS: Sequence[tuple[float, tuple[str, int], tuple[str, int] | None]] = (
    (120, _S, None),
    (600, _M, _S),
    (3 * 3600, _M, None),
    (8 * 3600, _H, _M),
    (48 * 3600, _H, None),
    (8 * 86400, _D, _H),
    (730 * 86400, _D, None),
    (8 * 365 * 86400, _Y, _D),
    (float("inf"), _Y, None),
)
"""Up to how many seconds a length is shown in which unit, and with which smaller one beside it."""


def _age(obj: Object, now: datetime) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def _pod(obj: Object, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj["spec"]
    containers = status.get("containerStatuses") or []
    ready = sum(1 for container in containers if container.get("ready"))
    restarts = sum(container.get("restartCount", 0) for container in containers)
    return [
        obj["metadata"]["name"],
        f"{ready}/{len(spec['containers'])}",
        _pod_status(obj, containers),
        str(restarts),
        _age(obj, now),
        status.get("podIP") or "<none>",
        spec.get("nodeName") or "<none>",
        "<none>",
        "<none>",
    ]


def _pod_status(obj: Object, containers: Sequence[Object]) -> str:
    status = obj.get("status") or {}
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    for container in containers:
        for state in (container.get("state") or {}).values():
            reason = state.get("reason") or reason
    return "Terminating" if "deletionTimestamp" in obj["metadata"] else str(reason)


def _job(obj: Object, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj["spec"]
    containers = spec["template"]["spec"]["containers"]
    lasted = ""
    if status.get("startTime"):
        end = status.get("completionTime")
        lasted = since(status["startTime"], datetime.fromisoformat(end) if end else now)
    selector = (spec.get("selector") or {}).get("matchLabels") or {}
    return [
        obj["metadata"]["name"],
        _job_status(obj),
        f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}",
        lasted,
        _age(obj, now),
        ",".join(container["name"] for container in containers),
        ",".join(container.get("image", "") for container in containers),
        ",".join(f"{key}={value}" for key, value in selector.items()),
    ]


def _job_status(obj: Object) -> str:
    conditions = (obj.get("status") or {}).get("conditions") or []
    true = {condition["type"] for condition in conditions if condition["status"] == "True"}
    for name, shown in (("Complete", "Complete"), ("Failed", "Failed")):
        if name in true:
            return shown
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    for name in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if name in true:
            return name
    return "Running"


def _event(obj: Object, now: datetime) -> list[Any]:
    about, source = obj.get("involvedObject") or {}, obj.get("source") or {}
    last = obj.get("lastTimestamp") or obj.get("eventTime")
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    return [
        since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        about.get("fieldPath", ""),
        ", ".join(part for part in (source.get("component"), source.get("host")) if part),
        str(obj.get("message", "")).strip(),
        since(first, now),
        obj.get("count", 1),
        obj["metadata"]["name"],
    ]


def _definition_row(obj: Object, _: datetime) -> list[Any]:
    spec, names = obj["spec"], obj["spec"]["names"]
    versions = [f"{v['name']}(storage)" if v.get("storage") else v["name"] for v in spec["versions"]]
    return [
        obj["metadata"]["name"],
        spec["scope"],
        ",".join(versions),
        obj["metadata"]["creationTimestamp"],
        spec["group"],
        names["kind"],
        ",".join(names.get("shortNames") or []),
        True,
    ]


_EVENT_COLUMNS = _text(
    "Last Seen", "Type", "Reason", "Object", "Subobject", "Source", "Message", "First Seen", "Count",
    wide=("Subobject", "Source", "First Seen", "Count"),
)  # fmt: skip
_POD_COLUMNS = _text(
    "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates",
    wide=("IP", "Node", "Nominated Node", "Readiness Gates"),
)  # fmt: skip
_JOB_COLUMNS = _text(
    "Status", "Completions", "Duration", "Age", "Containers", "Images", "Selector",
    wide=("Containers", "Images", "Selector"),
)  # fmt: skip

_BUILT_IN: dict[str, tuple[Sequence[Column], Cells]] = {
    "Pod": ([_NAME, *_POD_COLUMNS], _pod),
    "Job": ([_NAME, *_JOB_COLUMNS], _job),
    "Event": ([*_EVENT_COLUMNS, Column("Name", "string", "", 1, format="name")], _event),
    "Namespace": (
        [_NAME, *_text("Status", "Age")],
        lambda obj, now: [obj["metadata"]["name"], (obj.get("status") or {}).get("phase", ""), _age(obj, now)],
    ),
    "Lease": (
        [_NAME, *_text("Holder", "Age")],
        lambda obj, now: [
            obj["metadata"]["name"],
            (obj.get("spec") or {}).get("holderIdentity", ""),
            _age(obj, now),
        ],
    ),
    "Secret": (
        [_NAME, *_text("Type", "Data", "Age")],
        lambda obj, now: [obj["metadata"]["name"], obj.get("type", ""), len(obj.get("data") or {}), _age(obj, now)],
    ),
    "ConfigMap": (
        [_NAME, *_text("Data", "Age")],
        lambda obj, now: [obj["metadata"]["name"], len(obj.get("data") or {}), _age(obj, now)],
    ),
    "CustomResourceDefinition": (
        [
            _NAME,
            *_text("Scope", "Versions"),
            Column("Created At", "date", ""),
            *_text("Group", "Kind", "ShortNames", wide=("Group", "Kind", "ShortNames")),
            Column("Established", "boolean", "", 1),
        ],
        _definition_row,
    ),
}


def utc_now() -> datetime:
    """Return the time that ages are counted to."""
    return datetime.now(UTC)
