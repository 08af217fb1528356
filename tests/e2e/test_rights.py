"""Each right is needed, and the want of it is said: clear words, not ready, no crash."""

import copy
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from e2e_cluster import HOME, LACKING, RELEASE, TAG, TEAM, Cluster, Object, install, task, uninstall
from helmchart import CHART
from kubeapi import until

OPERATOR_ROLE = f"clusterrole/{RELEASE}-{HOME}-operator"
DASHBOARD_ROLE = f"clusterrole/{RELEASE}-{HOME}-dashboard"


def rights_in(name: str) -> list[tuple[str, str]]:
    """Return verb and resource of every right in a template of rules, read without helm: tests are collected by it."""
    text = (CHART / "templates/_rules.tpl").read_text("utf-8")
    found = re.search(rf'define "dify-repack\.{name}" -}}}}\n(.*?)\n{{{{- end }}}}\n(?:\n|\Z)', text, re.DOTALL)
    assert found is not None
    lines = [line for line in found[1].splitlines() if not line.startswith("{{")]
    return [(verb, rule["resources"][0]) for rule in yaml.safe_load("\n".join(lines)) for verb in rule["verbs"]]


def without(rules: list[Object], verb: str, resource: str) -> list[Object]:
    """Return the rules without one right."""
    left = copy.deepcopy(rules)
    for rule in left:
        if rule["resources"] == [resource] and verb in rule["verbs"]:
            rule["verbs"].remove(verb)
    assert left != rules
    return [rule for rule in left if rule["verbs"]]


@pytest.fixture(scope="module")
def rights_only(cluster: Cluster) -> Iterator[Cluster]:
    """The chart's roles and accounts, with nobody at work: the tests run the programs themselves.

    The accounts have names of their own, so that what is refused here on purpose is told from what must not be.
    """
    values: Object = {
        part: {"replicas": 0, "serviceAccount": {"name": f"{LACKING}{part}"}} for part in ("operator", "dashboard")
    }
    values["operator"]["leaderElection"] = {"enabled": True}
    values["dashboard"]["auth"] = {"mode": "kubernetes"}
    install(cluster, values)
    yield cluster
    uninstall(cluster)


@contextmanager
def lacking(cluster: Cluster, role: str, verb: str, resource: str) -> Iterator[None]:
    """Take a right out of a role, named `kind/name`, and put it back."""
    kind, _, name = role.partition("/")
    rules = cluster.get(kind, name, namespace=HOME)["rules"]

    def put(changed: list[Object]) -> None:
        cluster.kubectl("-n", HOME, "patch", kind, name, "--type=merge", "-p", json.dumps({"rules": changed}))

    put(without(rules, verb, resource))
    try:
        yield
    finally:
        put(rules)


class Program:
    """One of our programs with the rights of its service account."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, log: Path) -> None:
        self.process, self.url, self._log = process, url, log

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text("utf-8")

    def ask(self, path: str = "/readyz") -> tuple[int, str]:
        """Return status and text of an answer; (0, "") while it does not listen."""
        try:
            answer = httpx.get(self.url + path, trust_env=False, timeout=5)
        except httpx.HTTPError:
            return 0, ""
        return answer.status_code, answer.text

    def post(self, path: str, **arguments: object) -> httpx.Response:
        """Send something."""
        return httpx.post(self.url + path, trust_env=False, timeout=10, **arguments)  # type: ignore[arg-type]


@contextmanager
def run(cluster: Cluster, component: str, tmp_path: Path, **settings: str) -> Iterator[Program]:
    """Run a program outside, as the account that the chart made."""
    token = cluster.kubectl("-n", HOME, "create", "token", f"{LACKING}{component}").strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text("utf-8"))
    config["users"] = [{"name": entry["name"], "user": {"token": token}} for entry in config["users"]]
    kubeconfig = tmp_path / f"{component}.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    prefix = f"REPACK_{component.upper()}"
    environment = {"PATH": os.environ["PATH"], f"{prefix}_KUBECONFIG": str(kubeconfig), **settings}
    environment[f"{prefix}_HEALTH_PORT" if component == "operator" else f"{prefix}_PORT"] = str(port)
    log = tmp_path / f"{component}.log"
    with (
        log.open("w") as stream,
        subprocess.Popen(
            [sys.executable, "-m", f"repack_{component}"], env=environment, stdout=stream, stderr=stream, text=True
        ) as process,
    ):
        try:
            yield Program(process, f"http://127.0.0.1:{port}", log)
        finally:
            process.terminate()


@pytest.mark.parametrize(("verb", "resource"), rights_in("operatorRules"))
def test_the_operator_names_a_right_that_it_lacks(rights_only: Cluster, tmp_path: Path, verb: str, resource: str):
    with (
        lacking(rights_only, OPERATOR_ROLE, verb, resource),
        run(rights_only, "operator", tmp_path) as operator,
    ):
        said = until(lambda: (a := operator.ask())[0] == 503 and "may not" in a[1] and a[1], what="the complaint")
        assert re.search(rf"the operator may not {verb} {resource}.* in all namespaces", said), said
        until(lambda: "the operator lacks rights" in operator.log, what="the line in the log")
        assert "service account" in operator.log
        assert operator.process.poll() is None


def test_the_operator_goes_on_by_itself_when_it_is_given_the_right(rights_only: Cluster, tmp_path: Path):
    with run(rights_only, "operator", tmp_path) as operator:
        until(lambda: operator.ask()[0] == 200, what="the operator to be ready")
        with lacking(rights_only, OPERATOR_ROLE, "create", "jobs"):
            rights_only.apply(task("refused", "locked"))
            until(lambda: "may not create jobs" in operator.ask()[1], what="the operator to say so", seconds=30)
            describe = ("-n", TEAM, "describe", "rpt", "refused")
            until(lambda: 'cannot create resource "jobs"' in rights_only.kubectl(*describe), what="the task to say so")
        until(lambda: operator.ask()[0] == 200, what="the operator to be ready again", seconds=40)
        until(lambda: rights_only.get("jobs", "", "-l", "dify-repack.io/task=refused")["items"], what="the Job",
              seconds=60)  # fmt: skip
        assert operator.process.poll() is None
    rights_only.kubectl("-n", TEAM, "delete", "rpt", "refused")


@pytest.mark.parametrize("verb", ["create", "get", "update"])
def test_an_operator_that_may_not_touch_the_lease_leads_nothing_and_says_why(
    rights_only: Cluster, tmp_path: Path, verb: str
):
    lease = f"{RELEASE}-operator"
    settings = {
        "REPACK_OPERATOR_LEADER_ELECTION": "true",
        "REPACK_OPERATOR_LEASE_NAME": lease,
        "REPACK_OPERATOR_LEASE_NAMESPACE": HOME,
    }
    if verb == "create":
        rights_only.kubectl("-n", HOME, "delete", "lease", lease, "--ignore-not-found")
    else:  # somebody held it, and is gone
        with run(rights_only, "operator", tmp_path, **settings) as former:
            until(lambda: former.ask()[0] == 200, what="a first leader", seconds=40)
    with (
        lacking(rights_only, f"role/{RELEASE}-leader", verb, "leases"),
        run(rights_only, "operator", tmp_path, **settings) as operator,
    ):
        until(
            lambda: re.search(r"forbidden|may not", operator.log, re.IGNORECASE), what="the line in the log", seconds=40
        )
        assert "leases" in operator.log
        assert "repack_leader 0.0" in operator.ask("/metrics")[1]
        assert operator.process.poll() is None


@contextmanager
def dashboard(cluster: Cluster, tmp_path: Path, **more: str) -> Iterator[Program]:
    """Run the dashboard, which asks nobody who they are."""
    operators = json.dumps([f"system:serviceaccount:{HOME}:{LACKING}operator"])
    settings = {
        "REPACK_DASHBOARD_INGEST_OPERATORS": operators,
        "REPACK_DASHBOARD_DATA_DIR": str(tmp_path / "data"),
        "REPACK_DASHBOARD_INGEST_AUTH": "kubernetes",
        "REPACK_DASHBOARD_NAMESPACE": TEAM,
        **more,
    }
    with run(cluster, "dashboard", tmp_path, **settings) as program:
        yield program


REVIEWS_ROLE = f"clusterrole/{RELEASE}-{HOME}-reviews"
DASHBOARD_RIGHTS = [(DASHBOARD_ROLE, *right) for right in rights_in("dashboardRules")]
REVIEWS = [(REVIEWS_ROLE, "create", "tokenreviews"), (REVIEWS_ROLE, "create", "subjectaccessreviews")]
VITAL = {("list", "repackagetasks"), ("get", "pods"), *((verb, resource) for _, verb, resource in REVIEWS)}


@pytest.mark.parametrize(("role", "verb", "resource"), [*DASHBOARD_RIGHTS, *REVIEWS])
def test_the_dashboard_names_a_right_that_it_lacks_and_is_ready_only_where_it_can_do_its_work(
    rights_only: Cluster, tmp_path: Path, role: str, verb: str, resource: str
):
    with (
        lacking(rights_only, role, verb, resource),
        dashboard(rights_only, tmp_path, REPACK_DASHBOARD_AUTH_MODE="kubernetes") as program,
    ):
        code, said = until(lambda: (a := program.ask())[1] and "may not" in a[1] and a, what="the complaint")
        assert re.search(rf"the dashboard may not {verb} {resource}", said), said
        assert code == (503 if (verb, resource) in VITAL else 200)
        assert ("rights-missing" in said) is ((verb, resource) in VITAL)
        until(lambda: "the dashboard lacks rights" in program.log, what="the line in the log")
        assert "service account" in program.log
        assert program.process.poll() is None


def test_the_dashboard_is_ready_again_by_itself_when_it_is_given_the_right(rights_only: Cluster, tmp_path: Path):
    with dashboard(rights_only, tmp_path) as program:
        with lacking(rights_only, REVIEWS_ROLE, "create", "tokenreviews"):
            until(lambda: "may not create tokenreviews" in program.ask()[1], what="the complaint")
        until(lambda: program.ask()[0] == 200, what="the dashboard to be ready again", seconds=30)
        assert program.process.poll() is None


def test_a_dashboard_that_refuses_the_operator_for_want_of_a_right_is_told_everything_afterwards(
    rights_only: Cluster, tmp_path: Path
):
    token = rights_only.kubectl("-n", HOME, "create", "token", f"{LACKING}operator", "--audience=dify-repack-ingest")
    (tmp_path / "token").write_text(token.strip())
    with ExitStack() as stack:
        want = ExitStack()
        want.enter_context(lacking(rights_only, REVIEWS_ROLE, "create", "tokenreviews"))
        stack.enter_context(want)
        page = stack.enter_context(dashboard(rights_only, tmp_path))
        settings = {
            "REPACK_OPERATOR_INGEST_URL": page.url,
            "REPACK_OPERATOR_INGEST_TOKEN_FILE": str(tmp_path / "token"),
        }
        operator = stack.enter_context(run(rights_only, "operator", tmp_path, **settings))
        until(lambda: "the dashboard refused a batch for now" in operator.log, what="the refusal", seconds=40)
        want.close()
        # The operator's own words, not the dashboard's list of the tasks: its heartbeat.
        until(lambda: '"Healthy"' in page.ask("/api/v1/operator")[1], what="the operator to be heard", seconds=60)
        assert operator.process.poll() is None


@pytest.mark.parametrize("verb", ["create", "patch", "delete"])
def test_a_dashboard_that_may_not_change_tasks_tells_its_user(rights_only: Cluster, tmp_path: Path, verb: str):
    rights_only.apply(task("there", "locked"))
    uid = rights_only.get("rpt", "there")["metadata"]["uid"]
    with (
        lacking(rights_only, DASHBOARD_ROLE, verb, "repackagetasks"),
        dashboard(rights_only, tmp_path) as program,
    ):
        until(lambda: program.ask()[0] == 200, what="the dashboard to be ready")
        until(lambda: program.ask(f"/api/v1/tasks/{uid}")[0] == 200, what="the task to be known")
        answer = {
            "create": lambda: program.post("/api/v1/tasks", json={"spec": task("x")["spec"]}),
            "patch": lambda: program.post(f"/api/v1/tasks/{uid}/cancel"),
            "delete": lambda: httpx.delete(f"{program.url}/api/v1/tasks/{uid}", trust_env=False),
        }[verb]()
        problem = answer.json()
        assert answer.status_code in {403, 502}
        assert "repackagetasks" in problem["detail"]
        assert problem["hint"]
        assert program.process.poll() is None


@pytest.mark.parametrize(
    ("role", "verb", "resource"),
    [(f"clusterrole/{RELEASE}-{HOME}-reviews", "create", "tokenreviews"), (DASHBOARD_ROLE, "get", "pods")],
)
def test_a_dashboard_that_may_not_ask_who_sends_in_says_so_to_the_sender(
    rights_only: Cluster, tmp_path: Path, role: str, verb: str, resource: str
):
    rights_only.apply(sender_pod())
    rights_only.kubectl("-n", TEAM, "wait", "--for=condition=Ready", "pod/sender", "--timeout=60s")
    bound = ("--bound-object-kind=Pod", "--bound-object-name=sender", "--audience=dify-repack-ingest")
    token = rights_only.kubectl("-n", TEAM, "create", "token", "default", *bound).strip()
    with lacking(rights_only, role, verb, resource), dashboard(rights_only, tmp_path) as program:
        until(lambda: program.ask()[0] in {200, 503}, what="the dashboard to answer", seconds=40)
        answer = program.post("/api/v1/ingest/events", headers={"Authorization": f"Bearer {token}"}, json={})
        assert answer.status_code == 403
        assert f'cannot {verb} resource "{resource}"' in answer.json()["detail"]
        assert "service account lacks this right" in answer.json()["hint"]
        assert program.process.poll() is None


def sender_pod() -> Object:
    """Return a Pod that a token can be bound to."""
    container = {
        "name": "sender",
        "image": f"dify-repack/worker:{TAG}",
        "command": ["sleep", "300"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [container], "securityContext": security, "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sender"}, "spec": spec}
