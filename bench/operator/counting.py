"""Which calls an API server answered, by its own record: the audit log of a real one, a counter in the embedded one."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

OPERATOR = "dify-repack"
"""User-Agent of the operator's calls; its watches are kopf's, with one of their own."""
DRIVER = "dify-repack-bench"
_VERBS = {"POST": "create", "PATCH": "patch", "PUT": "replace", "DELETE": "delete", "GET": "get"}


@dataclass
class Calls:
    """Calls of the operator by `verb resource`."""

    made: Counter[str] = field(default_factory=Counter)

    def note(self, method: str, path: str, user_agent: str) -> None:
        """Count one request to the embedded API."""
        if user_agent == OPERATOR:
            self.made[f"{_VERBS[method]} {_resource(path)}"] += 1

    @property
    def events(self) -> int:
        """Kubernetes Events, which are a courtesy and can be switched off."""
        return self.made["create events"]

    @property
    def own_business(self) -> int:
        """What is asked whatever the number of tasks: the lists at the start, rights, signs of life, the Lease."""
        asked = ("leases", "selfsubjectaccessreviews")
        return sum(count for what, count in self.made.items() if what.startswith("get ") or what.endswith(asked))

    @property
    def for_tasks(self) -> int:
        """Everything else."""
        return sum(self.made.values()) - self.events - self.own_business


def from_audit_log(path: Path, *, after: int) -> Calls:
    """Count the operator's calls in an audit log (level Metadata or above), from byte `after` on."""
    calls = Calls()
    with path.open("rb") as file:
        file.seek(after)
        for line in file:
            event = json.loads(line)
            agent = event.get("userAgent", "")
            if event.get("stage") != "ResponseComplete":
                continue
            if agent.startswith("kopf/"):
                calls.made["get by kopf's watches"] += 1
            if agent != OPERATOR:
                continue
            what = event.get("objectRef") or {}
            parts = [what.get("resource", ""), *filter(None, [what.get("subresource")])]
            verb = {"list": "get", "update": "replace"}.get(event["verb"], event["verb"])
            calls.made[f"{verb} {'/'.join(parts)}"] += 1
    return calls


def _resource(path: str) -> str:
    """Return the plural name, with the subresource where there is one."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return "/".join([rest[0], *rest[2:3]])
