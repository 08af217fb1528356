"""Every reason a task can fail or wait for: one table with class, exit code, retry, meaning and remedy.

The reason's name is part of the API. The worker's exit code tells the operator the reason: 10-19 user and artifact,
20-29 network, 30-39 resource, 1 and anything else `Internal` (operator.md 6.2).
"""

from enum import StrEnum

from msgspec import Struct


class FailureClass(StrEnum):
    """Whose failure it is; with the reason it decides whether another attempt makes sense."""

    INFRA = "Infra"
    NETWORK = "Network"
    RESOURCE = "Resource"
    USER = "User"
    ARTIFACT = "Artifact"
    INTERNAL = "Internal"


class Retry(StrEnum):
    """What the operator does after such a failure."""

    YES = "yes"
    """Another attempt after a back-off, up to `spec.retry.limit`."""
    NO = "no"
    ONCE = "once"
    """One more attempt, with the profile's next memory size where there is one."""
    WAIT = "wait"
    """No failure: the task waits and is tried again without counting an attempt."""


class Reason(StrEnum):
    """A machine-readable cause, as `status.reason`, in conditions and in problem+json."""

    NODE_LOST = "NodeLost"
    POD_EVICTED = "PodEvicted"
    PREEMPTED = "Preempted"
    JOB_DELETED_EXTERNALLY = "JobDeletedExternally"
    POD_DELETED_EXTERNALLY = "PodDeletedExternally"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    CREATE_CONTAINER_CONFIG_ERROR = "CreateContainerConfigError"
    UNSCHEDULABLE = "Unschedulable"
    POD_NEVER_STARTED = "PodNeverStarted"
    QUOTA_EXCEEDED = "QuotaExceeded"
    INDEX_UNREACHABLE = "IndexUnreachable"
    DOWNLOAD_TIMEOUT = "DownloadTimeout"
    RATE_LIMITED = "RateLimited"
    DISK_FULL = "DiskFull"
    OOM_KILLED = "OOMKilled"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    PLUGIN_NOT_FOUND = "PluginNotFound"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    INVALID_PACKAGE = "InvalidPackage"
    ADDRESS_REFUSED = "AddressRefused"
    DEPENDENCY_CONFLICT = "DependencyConflict"
    UNSUPPORTED_PLATFORM = "UnsupportedPlatform"
    NO_WHEEL_FOR_PLATFORM = "NoWheelForPlatform"
    PACKAGE_TOO_LARGE = "PackageTooLarge"
    PYTHON_NOT_FOUND = "PythonNotFound"
    INVALID_SPEC = "InvalidSpec"
    NAME_CONFLICT = "NameConflict"
    VERIFICATION_FAILED = "VerificationFailed"
    INTERNAL = "Internal"


class ReasonFacts(Struct, frozen=True):
    """What is known of a reason, whatever the case."""

    failure_class: FailureClass
    exit_code: int | None
    """The worker's exit code, None where there is no worker to say it."""
    retry: Retry
    meaning: str
    """One sentence for documentation: when this reason is given."""
    hint: str
    """What the user can do, in the imperative; ends `status.message` where the case gives no better hint."""


_I, _N, _R, _U = FailureClass.INFRA, FailureClass.NETWORK, FailureClass.RESOURCE, FailureClass.USER

REASONS: dict[Reason, ReasonFacts] = {
    Reason.NODE_LOST: ReasonFacts(
        _I, None, Retry.YES,
        "The node that ran the worker stopped answering.",
        "Nothing to do: it is tried again on another node. If it repeats, look at the nodes.",
    ),
    Reason.POD_EVICTED: ReasonFacts(
        _I, None, Retry.YES,
        "The worker's Pod was evicted or drained.",
        "Nothing to do: it is tried again. If it repeats, give the profile more ephemeral storage or memory.",
    ),
    Reason.PREEMPTED: ReasonFacts(
        _I, None, Retry.YES,
        "A Pod of higher priority took the worker's place.",
        "Nothing to do: it is tried again. To avoid it, give the workers a higher PriorityClass.",
    ),
    Reason.JOB_DELETED_EXTERNALLY: ReasonFacts(
        _I, None, Retry.YES,
        "Somebody or something deleted the Job of the running attempt.",
        "To stop a task, set spec.desiredState to Cancelled instead of deleting its Job.",
    ),
    Reason.POD_DELETED_EXTERNALLY: ReasonFacts(
        _I, None, Retry.YES,
        "Somebody or something deleted the Pod of the running attempt.",
        "To stop a task, set spec.desiredState to Cancelled instead of deleting its Pod.",
    ),
    Reason.IMAGE_PULL_BACK_OFF: ReasonFacts(
        _I, None, Retry.NO,
        "The worker's image could not be pulled before the pending deadline.",
        "Check the image name and the pull secret in the operator's settings, then run the task again.",
    ),
    Reason.CREATE_CONTAINER_CONFIG_ERROR: ReasonFacts(
        _I, None, Retry.NO,
        "The worker's container could not be configured before the pending deadline.",
        "Check that the Secrets and ConfigMaps named in the profile exist, then run the task again.",
    ),
    Reason.UNSCHEDULABLE: ReasonFacts(
        _I, None, Retry.NO,
        "No node had room for the worker before the pending deadline.",
        "Free capacity, ask for less in the profile, or raise spec.pendingDeadlineSeconds, then run the task again.",
    ),
    Reason.POD_NEVER_STARTED: ReasonFacts(
        _I, None, Retry.NO,
        "The worker did not start before the pending deadline.",
        "Look at the events of its Pod, mend the cause, then run the task again.",
    ),
    Reason.QUOTA_EXCEEDED: ReasonFacts(
        _I, None, Retry.WAIT,
        "The namespace's quota or an admission rule refused the Job; the task stays queued.",
        "Raise the namespace's quota, or wait until running tasks have ended.",
    ),
    Reason.INDEX_UNREACHABLE: ReasonFacts(
        _N, 20, Retry.YES,
        "The package index, or the address of the plugin, did not answer.",
        "Check the address and the proxy, or set a mirror in spec.packageIndex.",
    ),
    Reason.DOWNLOAD_TIMEOUT: ReasonFacts(
        _N, 21, Retry.YES,
        "A download was cut or stayed without progress for too long.",
        "Try again; where the line is slow, set a nearer mirror in spec.packageIndex.",
    ),
    Reason.RATE_LIMITED: ReasonFacts(
        _N, 22, Retry.YES,
        "The server asked to be called less often.",
        "Wait and run the task again, or use a mirror or a token.",
    ),
    Reason.DISK_FULL: ReasonFacts(
        _R, 30, Retry.NO,
        "The working directory or the artifact store has no room left.",
        "Free space, or give the profile (or the artifact volume) a larger size, then run the task again.",
    ),
    Reason.OOM_KILLED: ReasonFacts(
        _R, 31, Retry.ONCE,
        "The worker, or a process it started, needed more memory than it may have.",
        "Give the profile more memory.",
    ),
    Reason.DEADLINE_EXCEEDED: ReasonFacts(
        _R, 32, Retry.NO,
        "The attempt ran longer than spec.activeDeadlineSeconds.",
        "Raise spec.activeDeadlineSeconds, or use a nearer mirror, then run the task again.",
    ),
    Reason.PLUGIN_NOT_FOUND: ReasonFacts(
        _U, 10, Retry.NO,
        "There is no plugin at the place that the source names.",
        "Check the spelling and the version, or upload the file.",
    ),
    Reason.CHECKSUM_MISMATCH: ReasonFacts(
        _U, 11, Retry.NO,
        "A file is not the one that was announced: its sha256 differs.",
        "Check the sha256 that you gave; if it is right, the server or a proxy changed the file.",
    ),
    Reason.INVALID_PACKAGE: ReasonFacts(
        _U, 12, Retry.NO,
        "The file is not a Dify plugin package, or one that could do harm when unpacked.",
        "Get the package again from its author, or pack it again with Dify's own command.",
    ),
    Reason.ADDRESS_REFUSED: ReasonFacts(
        _U, 18, Retry.NO,
        "An address, or one that it redirects to, is private, and private ones are not allowed here.",
        "Use a public address or upload the file; the setting REPACK_ALLOWED_PRIVATE_HOSTS can allow it.",
    ),
    Reason.DEPENDENCY_CONFLICT: ReasonFacts(
        _U, 13, Retry.NO,
        "The plugin's dependencies cannot be resolved.",
        "Correct the plugin's dependencies, or choose another version of the plugin.",
    ),
    Reason.UNSUPPORTED_PLATFORM: ReasonFacts(
        _U, 14, Retry.NO,
        "The plugin itself excludes the target.",
        "Choose a target that the plugin's manifest names in meta.arch.",
    ),
    Reason.NO_WHEEL_FOR_PLATFORM: ReasonFacts(
        _U, 15, Retry.NO,
        "A dependency has no wheel for the target, and none could be built.",
        "Choose another target, or a plugin version that does not need it.",
    ),
    Reason.PACKAGE_TOO_LARGE: ReasonFacts(
        _U, 16, Retry.NO,
        "The input or the result is above the size limit.",
        "Raise REPACK_MAX_PACKAGE_BYTES, and the same limits in Dify.",
    ),
    Reason.PYTHON_NOT_FOUND: ReasonFacts(
        _I, 17, Retry.NO,
        "No interpreter of the plugin's Python version runs where the worker runs, so nothing could be verified.",
        "Install that Python and set REPACK_PYTHON to its path, or let uv download one (REPACK_PYTHON_DOWNLOAD=true).",
    ),
    Reason.INVALID_SPEC: ReasonFacts(
        _U, None, Retry.NO,
        "The task's spec breaks a rule that this API server did not enforce.",
        "Correct the field named in the message and create a new task.",
    ),
    Reason.NAME_CONFLICT: ReasonFacts(
        _U, None, Retry.NO,
        "A Job of the needed name exists and belongs to somebody else.",
        "Delete that Job, or create the task under another name.",
    ),
    Reason.VERIFICATION_FAILED: ReasonFacts(
        FailureClass.ARTIFACT, 19, Retry.NO,
        "Installing the finished package with the network off failed; it was not published.",
        "Run the task again; if it repeats, report it with the log.",
    ),
    Reason.INTERNAL: ReasonFacts(
        FailureClass.INTERNAL, 1, Retry.YES,
        "A fault of dify-repack itself.",
        "Report it with the log.",
    ),
}  # fmt: skip
"""The one table of reasons; README and the page's error notes are made from it."""

_BY_EXIT_CODE = {facts.exit_code: reason for reason, facts in REASONS.items() if facts.exit_code is not None}


def reason_of_exit_code(exit_code: int) -> Reason:
    """Return the reason that a worker's non-zero exit code stands for; `Internal` for any unknown one."""
    return _BY_EXIT_CODE.get(exit_code, Reason.INTERNAL)
