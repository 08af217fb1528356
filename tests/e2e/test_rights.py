"""Each right is needed, and the want of it is said: clear words, not ready, no crash."""

import copy
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from e2e_cluster import HOME, RELEASE, TEAM, Cluster, Object, install, task, uninstall
from helmchart import of_kind, rendered
from kubeapi import until

_ELECTING = {"operator": {"leaderElection": {"enabled": True}}}
_OBJECTS = rendered(_ELECTING)
OPERATOR_RULES: list[Object] = of_kind(_OBJECTS, "ClusterRole", "-operator")["rules"]
LEADER_RULES: list[Object] = of_kind(_OBJECTS, "Role", "-leader")["rules"]
DASHBOARD_RULES: list[Object] = of_kind(_OBJECTS, "ClusterRole", "-dashboard")["rules"]


def rights(rules: list[Object]) -> list[tuple[int, str, str]]:
    """Return every right: number of its rule, verb, resource."""
    return [(n, verb, rule["resources"][0]) for n, rule in enumerate(rules) for verb in rule["verbs"]]


def without(rules: list[Object], number: int, verb: str) -> list[Object]:
    """Return the rules without one verb."""
    left = copy.deepcopy(rules)
    left[number]["verbs"].remove(verb)
    return [rule for rule in left if rule["verbs"]]


@pytest.fixture(scope="module")
def rights_only(cluster: Cluster) -> Iterator[Cluster]:
    """The chart's roles and accounts, with nobody at work: the tests run the programs themselves."""
    install(cluster, {"operator": {"replicas": 0, "leaderElection": {"enabled": True}}, "dashboard": {"replicas": 0}})
    yield cluster
    uninstall(cluster)


@contextmanager
def rules_of(cluster: Cluster, kind: str, name: str, rules: list[Object]) -> Iterator[None]:
    """Change a role, and put it back."""
    role = cluster.get(kind, name, namespace=HOME)
    change = json.dumps({"rules": rules})
    cluster.kubectl("-n", HOME, "patch", kind, name, "--type=merge", "-p", change)
    try:
        yield
    finally:
        cluster.kubectl("-n", HOME, "patch", kind, name, "--type=merge", "-p", json.dumps({"rules": role["rules"]}))


class Program:
    """One of our programs with the rights of its service account."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, log: Path) -> None:
        self.process, self._url, self._log = process, url, log

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text("utf-8")

    def ask(self, path: str = "/readyz") -> tuple[int, str]:
        """Return status and text of an answer; (0, "") while it does not listen."""
        try:
            answer = httpx.get(self._url + path, trust_env=False, timeout=5)
        except httpx.HTTPError:
            return 0, ""
        return answer.status_code, answer.text

    def post(self, path: str, **arguments: object) -> httpx.Response:
        """Send something."""
        return httpx.post(self._url + path, trust_env=False, timeout=10, **arguments)  # type: ignore[arg-type]


@contextmanager
def run(cluster: Cluster, component: str, tmp_path: Path, **settings: str) -> Iterator[Program]:
    """Run a program outside, as the account that the chart made."""
    token = cluster.kubectl("-n", HOME, "create", "token", f"{RELEASE}-{component}").strip()
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


@pytest.mark.parametrize(("number", "verb", "resource"), rights(OPERATOR_RULES))
def test_the_operator_names_a_right_that_it_lacks(
    rights_only: Cluster, tmp_path: Path, number: int, verb: str, resource: str
):
    role = f"{RELEASE}-{HOME}-operator"
    with (
        rules_of(rights_only, "clusterrole", role, without(OPERATOR_RULES, number, verb)),
        run(rights_only, "operator", tmp_path) as operator,
    ):
        said = until(lambda: (a := operator.ask())[0] == 503 and "may not" in a[1] and a[1], what="the complaint")
        assert re.search(rf"the operator may not {verb} {resource}.* in all namespaces", said), said
        until(lambda: "the operator lacks rights" in operator.log, what="the line in the log")
        assert "service account" in operator.log
        assert operator.process.poll() is None


def test_the_operator_goes_on_by_itself_when_it_is_given_the_right(rights_only: Cluster, tmp_path: Path):
    role = f"{RELEASE}-{HOME}-operator"
    with run(rights_only, "operator", tmp_path) as operator:
        until(lambda: operator.ask()[0] == 200, what="the operator to be ready")
        number = next(n for n, verb, resource in rights(OPERATOR_RULES) if (verb, resource) == ("create", "jobs"))
        with rules_of(rights_only, "clusterrole", role, without(OPERATOR_RULES, number, "create")):
            rights_only.apply(task("refused", "locked"))
            until(lambda: "may not create jobs" in operator.ask()[1], what="the operator to say so", seconds=30)
            message = rights_only.kubectl("-n", TEAM, "describe", "rpt", "refused")
            assert "jobs" in message
        until(lambda: operator.ask()[0] == 200, what="the operator to be ready again", seconds=40)
        until(lambda: rights_only.get("jobs", "", "-l", "dify-repack.io/task=refused")["items"], what="the Job",
              seconds=60)  # fmt: skip
        assert operator.process.poll() is None
    rights_only.kubectl("-n", TEAM, "delete", "rpt", "refused")


@pytest.mark.parametrize(("number", "verb", "resource"), rights(LEADER_RULES))
def test_an_operator_that_may_not_touch_the_lease_leads_nothing_and_says_why(
    rights_only: Cluster, tmp_path: Path, number: int, verb: str, resource: str
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
        rules_of(rights_only, "role", f"{RELEASE}-leader", without(LEADER_RULES, number, verb)),
        run(rights_only, "operator", tmp_path, **settings) as operator,
    ):
        until(
            lambda: re.search(r"forbidden|may not", operator.log, re.IGNORECASE), what="the line in the log", seconds=40
        )
        assert "leases" in operator.log
        assert "repack_leader 0.0" in operator.ask("/metrics")[1]
        assert operator.process.poll() is None


@contextmanager
def dashboard(cluster: Cluster, tmp_path: Path) -> Iterator[Program]:
    """Run the dashboard, which asks nobody who they are."""
    settings = {
        "REPACK_DASHBOARD_DATA_DIR": str(tmp_path / "data"),
        "REPACK_DASHBOARD_INGEST_AUTH": "kubernetes",
        "REPACK_DASHBOARD_NAMESPACE": TEAM,
    }
    with run(cluster, "dashboard", tmp_path, **settings) as program:
        yield program


def test_a_dashboard_that_may_not_list_tasks_is_not_ready_and_says_why(rights_only: Cluster, tmp_path: Path):
    number = next(n for n, verb, resource in rights(DASHBOARD_RULES) if (verb, resource) == ("list", "repackagetasks"))
    role = f"{RELEASE}-{HOME}-dashboard"
    with (
        rules_of(rights_only, "clusterrole", role, without(DASHBOARD_RULES, number, "list")),
        dashboard(rights_only, tmp_path) as program,
    ):
        said = until(lambda: (a := program.ask())[0] == 503 and a[1], what="the complaint")
        assert "tasks-not-listed" in said
        until(
            lambda: "forbidden" in program.log.lower() and "repackagetasks" in program.log, what="the line in the log"
        )
        assert program.process.poll() is None


@pytest.mark.parametrize("verb", ["create", "patch", "delete"])
def test_a_dashboard_that_may_not_change_tasks_tells_its_user(rights_only: Cluster, tmp_path: Path, verb: str):
    role = f"{RELEASE}-{HOME}-dashboard"
    number = next(n for n, has, resource in rights(DASHBOARD_RULES) if (has, resource) == (verb, "repackagetasks"))
    rights_only.apply(task("there", "locked"))
    uid = rights_only.get("rpt", "there")["metadata"]["uid"]
    with (
        rules_of(rights_only, "clusterrole", role, without(DASHBOARD_RULES, number, verb)),
        dashboard(rights_only, tmp_path) as program,
    ):
        until(lambda: program.ask()[0] == 200, what="the dashboard to be ready")
        until(lambda: program.ask(f"/api/v1/tasks/{uid}")[0] == 200, what="the task to be known")
        answer = {
            "create": lambda: program.post("/api/v1/tasks", json={"spec": task("x")["spec"]}),
            "patch": lambda: program.post(f"/api/v1/tasks/{uid}/cancel"),
            "delete": lambda: httpx.delete(f"{program._url}/api/v1/tasks/{uid}", trust_env=False),
        }[verb]()
        problem = answer.json()
        assert answer.status_code in {403, 502}
        assert "repackagetasks" in problem["detail"]
        assert problem["hint"]
        assert program.process.poll() is None
