"""Which calls of accounts the API server refused, by its own audit log (tests/audit-policy.yaml)."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Object = dict[str, Any]
_BINDINGS = {"clusterrolebindings", "rolebindings"}


def audit_log() -> Path | None:
    """Return the file of the cluster under test, None where it writes none that can be read here."""
    value = os.environ.get("E2E_AUDIT_LOG")
    return Path(value) if value else None


@dataclass
class Judged:
    """What became of calls."""

    allowed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Those that no role allows, by account, verb and kind. A full quota refuses too, but what RBAC has allowed."""


def judged(path: Path, *, after: int, accounts: str, but: str, release: str) -> Judged:
    """Count the calls of accounts from byte `after` on.

    Args:
        path: the audit log.
        after: where to begin.
        accounts: how the user names of the accounts begin.
        but: how those begin that are left out.
        release: how the bindings of the chart begin. A program that is still ending while its bindings are gone already
            is refused what it asks, and that is nobody's fault.
    """
    found, is_bound = Judged(), True
    for event in _events(path, after):
        about = event.get("objectRef") or {}
        if about.get("resource") in _BINDINGS and str(about.get("name", "")).startswith(release):
            is_bound = {"delete": False, "create": True}.get(event["verb"], is_bound)
        user = event.get("user", {}).get("username", "")
        if not user.startswith(accounts) or user.startswith(but):
            continue
        if (event.get("annotations") or {}).get("authorization.k8s.io/decision") != "forbid":
            found.allowed += 1
        elif is_bound:
            kind = "/".join(filter(None, (about.get("resource"), about.get("subresource"))))
            found.refused[f"{user.rpartition(':')[2]} {event['verb']} {kind or event['requestURI']}"] += 1
    return found


def _events(path: Path, after: int) -> Iterator[Object]:
    with path.open("rb") as file:
        file.seek(after)
        for line in file:
            event = json.loads(line)
            if event.get("stage") != "RequestReceived":
                yield event
