"""What counts as a refused call in an audit log; the lines are cut from that of a real API server."""

import json
from pathlib import Path
from typing import Any

from audit_log import judged

OURS = "system:serviceaccount:home:"


def call(user: str, verb: str, resource: str, decision: str = "allow", **about: Any) -> str:
    return json.dumps({
        "stage": "ResponseComplete", "verb": verb, "requestURI": "/", "user": {"username": user},
        "objectRef": {"resource": resource, **about}, "annotations": {"authorization.k8s.io/decision": decision},
    })  # fmt: skip


def read(folder: Path, *lines: str) -> tuple[int, dict[str, int]]:
    log = folder / "log"
    log.write_text("an older line that is not read\n" + "\n".join(lines) + "\n")
    after = len("an older line that is not read\n")
    calls = judged(log, after=after, accounts=OURS, but=f"{OURS}lacking-", release="repack")
    return calls.allowed, dict(calls.refused)


def test_only_what_no_role_allows_to_our_accounts_is_a_refusal(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        call(f"{OURS}operator", "create", "jobs"),  # a full quota refuses what RBAC has allowed
        call(f"{OURS}operator", "patch", "repackagetasks", "forbid", subresource="status"),
        call(f"{OURS}lacking-operator", "create", "jobs", "forbid"),
        call("system:serviceaccount:kube-system:gc", "delete", "jobs", "forbid"),
    )
    assert found == (1, {"operator patch repackagetasks/status": 1})


def test_a_program_that_still_ends_while_its_bindings_are_gone_is_not_counted(tmp_path: Path) -> None:
    refused = call(f"{OURS}operator", "list", "pods", "forbid")
    gone, made = (call("admin", verb, "clusterrolebindings", name="repack-operator") for verb in ("delete", "patch"))
    assert read(tmp_path, gone, refused, made, call(f"{OURS}operator", "list", "jobs", "forbid")) == (
        0,
        {"operator list jobs": 1},
    )
