"""The kinds of the Prometheus operator and of the Gateway API, as their projects ship them: `make e2e-kinds`.

Their CRDs come from their Go modules, at run time. The Prometheus operator itself is built from its module and runs
outside the cluster: what it makes of our monitors and rules is what a Prometheus would be given.
"""

import base64
import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from e2e_cluster import HOME, RELEASE, VALUES, Cluster, Object, install, uninstall
from helmchart import ROOT, rendered
from kubeapi import until
from requirements import require_command

PROMETHEUS = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
GATEWAY = "sigs.k8s.io/gateway-api@v1.6.0"
TOOLS = ROOT / ".local/go"
"""Programs built here; kept, because building takes minutes."""
OBSERVED: Object = {
    "monitoring": {
        "monitors": {"enabled": True, "renderMode": "failIfMissing", "labels": {"team": "platform"}},
        "rules": {"enabled": True, "renderMode": "failIfMissing", "labels": {"team": "platform"}},
        "grafanaDashboards": {"enabled": True},
    },
    "dashboard": {
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "gate"}], "hostnames": ["repack.example.com"]},
        "allowedHosts": [],
    },
}
OURS = ("servicemonitors", "podmonitors", "prometheusrules", "httproutes")


def go(*arguments: str, folder: Path = Path("/")) -> str:
    """Run go in a folder, with the settings of this machine."""
    program = require_command("go", install="the archive of go.dev, version 1.26 or newer")
    kept = {name: value for name, value in os.environ.items() if name.startswith("GO") or name in {"PATH", "HOME"}}
    certificates = {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
    done = subprocess.run(
        ["nice", program, *arguments], env=kept | certificates, cwd=folder, check=False, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(program: str, version: str, folder: Path) -> Path:
    """Return a program of a Go module, built in a module of our own: `go install` refuses those that replace others."""
    target = TOOLS / program.rpartition("/")[2]
    if not target.exists():
        (folder / "go.mod").write_text("module example.test/tools\n\ngo 1.25\n")
        go("get", f"{program}@{version.partition('@')[2]}", folder=folder)
        go("build", "-o", str(target), program, folder=folder)
    return target


def module(name: str) -> Path:
    """Return the folder of a Go module."""
    return Path(json.loads(go("mod", "download", "-json", name))["Dir"])


@pytest.fixture(scope="module")
def kinds(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with those kinds; gone at the end."""
    folders = [
        module(PROMETHEUS) / "example/prometheus-operator-crd",
        module(GATEWAY) / "config/crd/standard",
    ]
    found = [path for folder in folders for path in sorted(folder.glob("*.yaml"))]
    files = [f"-f={path}" for path in found if "\nkind: CustomResourceDefinition\n" in path.read_text("utf-8")]
    cluster.kubectl("apply", "--server-side", *files)
    cluster.kubectl("wait", "--for=condition=Established", *files, "--timeout=60s")
    yield cluster
    cluster.kubectl("delete", *files, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="module")
def observed(kinds: Cluster) -> Iterator[Cluster]:
    """Our chart with everything that needs those kinds."""
    install(kinds, OBSERVED)
    yield kinds
    uninstall(kinds)


def test_the_api_server_takes_our_objects_of_those_kinds_with_strict_validation(kinds: Cluster):
    kinds_of_the_cluster = [
        f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")
    ]
    values = {**VALUES, **OBSERVED}
    everything = rendered(values, *kinds_of_the_cluster, "--api-versions=gateway.networking.k8s.io/v1/HTTPRoute")
    objects = [o for o in everything if o["kind"] in {"ServiceMonitor", "PodMonitor", "PrometheusRule", "HTTPRoute"}]
    for each in objects:
        each["metadata"]["namespace"] = HOME
    given = yaml.safe_dump_all(objects)
    said = kinds.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=given)
    assert len(said.splitlines()) == len(objects) == 4


def test_the_chart_finds_the_kinds_by_itself(observed: Cluster):
    for plural in OURS:
        found = observed.get(plural, "", "-l", "app.kubernetes.io/part-of=dify-repack", namespace=HOME)["items"]
        assert len(found) == 1, plural


@pytest.mark.timeout(2400)
def test_the_prometheus_operator_makes_a_configuration_of_our_monitors_and_rules(observed: Cluster, tmp_path: Path):
    program = built(f"{PROMETHEUS.partition('@')[0]}/cmd/operator", PROMETHEUS, tmp_path)
    chosen = {"matchLabels": {"team": "platform"}}
    spec = {
        "replicas": 0,
        "serviceMonitorSelector": chosen,
        "podMonitorSelector": chosen,
        "ruleSelector": chosen,
        "ruleNamespaceSelector": {},
    }
    observed.apply(
        {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": {"name": "p"}, "spec": spec},
        namespace=HOME,
    )
    with running(program, observed, tmp_path / "log"):

        def configuration() -> Object | None:
            secret = observed.kubectl("-n", HOME, "get", "secret", "prometheus-p", "-o", "json", check=False)
            data = json.loads(secret).get("data", {}) if secret.startswith("{") else {}
            packed = data.get("prometheus.yaml.gz")
            return dict(yaml.safe_load(gzip.decompress(base64.b64decode(packed)))) if packed else None

        config = until(configuration, what=f"the configuration; see {tmp_path}/log", seconds=90)
        jobs = {job["job_name"] for job in config["scrape_configs"]}
        assert f"serviceMonitor/{HOME}/{RELEASE}-dashboard/0" in jobs
        assert f"podMonitor/{HOME}/{RELEASE}-operator/0" in jobs

        def rules() -> str:
            return observed.kubectl(
                "-n", HOME, "get", "configmap", "prometheus-p-rulefiles-0", "-o", "yaml", check=False
            )

        until(lambda: "DifyRepackOperatorAbsent" in rules(), what="our rules", seconds=60)
    observed.kubectl("-n", HOME, "delete", "prometheus", "p")


@contextmanager
def running(program: Path, cluster: Cluster, log: Path) -> Iterator[None]:
    """Run the Prometheus operator outside of the cluster; `kubectl proxy` gives it our credentials."""
    kubectl = require_command("kubectl", install="the package of your system, or the one of kubernetes.io")
    through = [kubectl, "--kubeconfig", str(cluster.kubeconfig), "proxy", "--port=0"]
    with subprocess.Popen(through, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        address = proxy.stdout.readline().split()[-1]
        command = [str(program), f"--apiserver=http://{address}", f"--namespaces={HOME}"]
        with (
            log.open("w") as stream,
            subprocess.Popen([*command, "--web.listen-address=127.0.0.1:0"], stdout=stream, stderr=stream) as process,
        ):
            try:
                yield
            finally:
                process.terminate()
                proxy.terminate()
