"""Names that users, manifests and programs share, and the names derived from a task's name."""

import re
from collections.abc import Collection

GROUP = "dify-repack.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "RepackageTask"
LIST_KIND = "RepackageTaskList"
PLURAL = "repackagetasks"
SINGULAR = "repackagetask"
SHORT_NAME = "rpt"

LABEL_TASK = f"{GROUP}/task"
"""On Jobs and Pods: the name of the task they belong to."""
LABEL_TASK_UID = f"{GROUP}/task-uid"
"""On Jobs and Pods: the uid of the task they belong to."""
LABEL_ATTEMPT = f"{GROUP}/attempt"
"""On Jobs and Pods: the number of the attempt, from 1."""
LABEL_RERUN_OF = f"{GROUP}/rerun-of"
"""On a task: the name of the task that it runs again."""

INGEST_AUDIENCE = "dify-repack-ingest"
"""Audience of the service-account tokens that open the ingest endpoint and nothing else."""

MAX_TASK_NAME = 52
"""Longest name of a task: `rpt-<name>-<attempt>` is a label value on Pods, and those end at 63 characters."""

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_RERUN_SUFFIX = re.compile(r"-(\d+)$")


def job_name(task_name: str, *, attempt: int) -> str:
    """Return the name of the Job that makes the given attempt of a task."""
    return f"rpt-{task_name}-{attempt}"


def task_name_from(text: str) -> str:
    """Return a valid task name made from free text, such as a file name; `task` when nothing usable is left."""
    cleaned = _NOT_IN_NAMES.sub("-", text.lower()).strip("-")
    return cleaned[:MAX_TASK_NAME].strip("-") or "task"


def next_free_name(base: str, *, taken: Collection[str]) -> str:
    """Return `base` when it is free, else `base-2`, `base-3`, … cut so that the result is a valid task name."""
    if base not in taken:
        return base
    number = 2
    while True:  # ends: `taken` is finite
        suffix = f"-{number}"
        name = base[: MAX_TASK_NAME - len(suffix)].rstrip("-.") + suffix
        if name not in taken:
            return name
        number += 1


def rerun_name(name: str, *, taken: Collection[str], is_rerun: bool) -> str:
    """Return the name of the next run of task `name`: `<base>-2`, `-3`, …, the next one that is free.

    Of a task that is itself a rerun the number is dropped first, so that runs of one task share one base.
    """
    base = _RERUN_SUFFIX.sub("", name) if is_rerun else name
    return next_free_name(base, taken={*taken, base})
