"""What a test needs beyond Python: where it is missing the test skips, with a sentence that says what to install.

With the environment variable REQUIRE_ALL=1 a missing part is a failure instead (CI sets it).
"""

import os
import shutil
from pathlib import Path

import pytest

REQUIRE_ALL = os.environ.get("REQUIRE_ALL") == "1"


def require(condition: object, sentence: str) -> None:
    """Skip the test (fail it with REQUIRE_ALL=1) unless `condition` holds; `sentence` says what is missing."""
    if condition:
        return
    if REQUIRE_ALL:
        pytest.fail(f"REQUIRE_ALL=1: {sentence}", pytrace=False)
    pytest.skip(sentence)


def require_command(name: str, *, install: str) -> str:
    """Return the path of a command, or skip with the sentence how to install it."""
    path = shutil.which(name)
    require(path, f"{name} is missing; install it with: {install}")
    return str(path)


def chromium() -> str:
    """Return the path of the system's Chromium, or skip."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    return require_command("chromium", install="apt-get install chromium fonts-noto-cjk")


def kubeconfig() -> Path | None:
    """Return the kubeconfig of the real cluster under test, None where none was given."""
    value = os.environ.get("KUBECONFIG")
    return Path(value) if value else None
