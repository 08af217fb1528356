"""Words that a user chooses from. Apart from the models, so that `--help` need not import pydantic."""

from enum import StrEnum
from typing import Literal

LogLevel = Literal["debug", "info", "warning", "error"]


class SourceType(StrEnum):
    """Where a plugin comes from."""

    MARKETPLACE = "Marketplace"
    GITHUB = "GitHub"
    URL = "URL"
    UPLOAD = "Upload"


class Arch(StrEnum):
    """What a package is made for: linux/amd64, linux/arm64, or both in one file."""

    AMD64 = "amd64"
    ARM64 = "arm64"
    UNIVERSAL = "universal"


class Mode(StrEnum):
    """How the dependencies are written (repackaging.md 6.1, step 6)."""

    REQUIREMENTS_ONLY = "RequirementsOnly"
    DUAL = "Dual"


class DesiredState(StrEnum):
    """What the user wants of the task now."""

    ACTIVE = "Active"
    SUSPENDED = "Suspended"
    CANCELLED = "Cancelled"


class VerificationMethod(StrEnum):
    """How the offline install was really verified; the first two are enforced by the kernel."""

    NETWORK_NAMESPACE = "NetworkNamespace"
    SECCOMP_FILTER = "SeccompFilter"
    OFFLINE_FLAGS = "OfflineFlags"
    CROSS_INSTALL = "CrossInstall"


class VerifyDepth(StrEnum):
    """How many generations of Dify's daemon are emulated in Verify."""

    STANDARD = "standard"
    """The newest one, with and without a mirror."""
    FULL = "full"
    """All thirteen configurations, each with its own uv."""
