"""The CRD's rules once more in Python, for API servers before 1.25, which drop CEL rules silently (operator.md 6.1).

Only rules that can be judged from one version of an object stand here; those that compare with the old version
(immutable fields, final phases) need no repetition: the operator takes a spec as it first saw it and never moves a
final phase.
"""

from repack_contract.errors import SpecError
from repack_contract.naming import MAX_TASK_NAME
from repack_contract.source import SourceType
from repack_contract.task import RepackageTask

_SOURCE_FIELDS = {
    SourceType.MARKETPLACE: "marketplace",
    SourceType.GITHUB: "github",
    SourceType.URL: "url",
    SourceType.UPLOAD: "upload",
}


def check_spec(task: RepackageTask) -> list[SpecError]:
    """Return what the task breaks of the rules that an old API server does not enforce; empty when nothing."""
    return [*_check_name(task), *_check_source(task), *_check_targets(task), *_check_retry(task)]


def _check_name(task: RepackageTask) -> list[SpecError]:
    if len(task.metadata.name) <= MAX_TASK_NAME:
        return []
    sentence = f"must be at most {MAX_TASK_NAME} characters (Job names add a prefix and a suffix)"
    return [SpecError("metadata.name", sentence)]


def _check_source(task: RepackageTask) -> list[SpecError]:
    source = task.spec.source
    return [
        SpecError(f"spec.source.{field}", f"must be set exactly when type is {kind}")
        for kind, field in _SOURCE_FIELDS.items()
        if (source.type is kind) != (getattr(source, field) is not None)
    ]


def _check_targets(task: RepackageTask) -> list[SpecError]:
    archs = [target.arch for target in task.spec.targets]
    return [SpecError("spec.targets", "names a target twice")] if len(set(archs)) < len(archs) else []


def _check_retry(task: RepackageTask) -> list[SpecError]:
    retry = task.spec.retry
    if retry.max_backoff_seconds >= retry.backoff_seconds:
        return []
    return [SpecError("spec.retry.maxBackoffSeconds", "must be >= spec.retry.backoffSeconds")]
