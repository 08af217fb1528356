"""What the chart renders, for a matrix of values."""

import json
import os
import re
import subprocess

import pytest
import yaml

from chart_matrix import MATRIX
from helmchart import CHART, ROOT, environment, of_kind, pod_specs, rendered
from repack_dashboard.settings import Settings as DashboardSettings
from repack_operator.settings import Settings as OperatorSettings
from requirements import require_command

SNAPSHOTS = ROOT / "tests/chart/snapshots"
MONITORING = [
    f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in ("PodMonitor", "ServiceMonitor", "PrometheusRule")
]
GATEWAY = "--api-versions=gateway.networking.k8s.io/v1/HTTPRoute"


def _snapshot(name: str) -> str:
    """Return the objects as text: sorted, without the CRD and long files, the token of chance left out."""
    objects = [o for o in rendered(MATRIX[name], *MONITORING) if o["kind"] != "CustomResourceDefinition"]
    for each in objects:
        if each["kind"] == "Secret":
            each["data"] = dict.fromkeys(each["data"], "<random>")
        if each["kind"] == "ConfigMap":
            each["data"] = {key: f"<{len(text)} characters>" for key, text in each.get("data", {}).items()}
    objects.sort(key=lambda o: (o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]))
    return yaml.safe_dump_all(objects, sort_keys=True, width=120)


@pytest.mark.parametrize("name", MATRIX)
def test_the_objects_are_those_of_the_snapshot(name):
    path = SNAPSHOTS / f"{name}.yaml"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.write_text(_snapshot(name), encoding="utf-8")
    assert _snapshot(name) == path.read_text("utf-8"), "if this is meant: UPDATE_SNAPSHOTS=1 pytest tests/chart"


@pytest.mark.parametrize("name", MATRIX)
def test_every_pod_is_fit_for_pod_security_restricted(name):
    pods = dict(pod_specs(rendered(MATRIX[name])))
    assert pods
    for pod in pods.values():
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == 65532
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} <= {
            "emptyDir", "projected", "secret", "configMap", "persistentVolumeClaim",
        }  # fmt: skip
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", MATRIX)
def test_both_programs_take_the_settings_that_the_chart_gives_them(name, monkeypatch, tmp_path):
    objects = rendered(MATRIX[name])
    for component, settings, prefix in (
        ("operator", OperatorSettings, "REPACK_OPERATOR_"),
        ("dashboard", DashboardSettings, "REPACK_DASHBOARD_"),
    ):
        if component == "dashboard" and not MATRIX[name].get("dashboard", {}).get("enabled", True):
            continue
        given = environment(objects, component)
        for variable, value in given.items():
            monkeypatch.setenv(variable, value)
        # Files of Secrets are there in a Pod only.
        (tmp_path / "secret").write_text("redis://a-host-and-a-token")
        for variable in given:
            if variable.endswith(("AUTH_TOKEN_FILE", "REDIS_URL_FILE")):
                monkeypatch.setenv(variable, str(tmp_path / "secret"))
        read = settings()
        assert all(variable.startswith(prefix) for variable in given)
        if component == "operator":
            assert read.worker_image
            assert "default" in read.profiles


def test_a_closed_network_finds_every_image_in_one_place():
    objects = rendered(MATRIX["closed-network"])
    images = {container["image"] for _, pod in pod_specs(objects) for container in pod["containers"]}
    images.add(environment(objects, "operator")["REPACK_OPERATOR_WORKER_IMAGE"])
    assert images == {
        f"registry.example.com/mirror/dify-repack/operator@sha256:{'a' * 64}",
        f"registry.example.com/mirror/dify-repack/dashboard@sha256:{'b' * 64}",
        "registry.example.com/mirror/dify-repack/worker-build:1.2.3",
    }


def test_workers_get_proxy_index_credentials_and_certificates():
    given = environment(rendered(MATRIX["closed-network"]), "operator")
    assert json.loads(given["REPACK_OPERATOR_WORKER_ENV"]) == {
        "HTTPS_PROXY": "http://proxy.example.com:3128",
        "NO_PROXY": ".svc,.cluster.local,localhost,127.0.0.1",
        "REPACK_CONNECTIONS": "8",
        "REPACK_INDEX_URL": "https://pypi.example.com/simple",
    }
    assert json.loads(given["REPACK_OPERATOR_WORKER_ENV_FROM_SECRETS"]) == ["index-credentials"]
    assert given["REPACK_OPERATOR_WORKER_CA_CONFIG_MAP"] == "company-ca"


def test_in_the_scope_of_namespaces_only_reviews_and_views_are_cluster_wide():
    objects = rendered(MATRIX["namespaces"])
    wide = {rule for o in objects if o["kind"] == "ClusterRole" for part in o["rules"] for rule in part["resources"]}
    assert wide == {"tokenreviews", "repackagetasks", "repackagetasks/status"}
    bound = {o["metadata"]["name"] for o in objects if o["kind"] == "ClusterRoleBinding"}
    assert bound == {"dify-repack-repack-reviews"}
    assert {o["metadata"]["namespace"] for o in objects if o["kind"] == "Role"} == {"team-a", "team-b", "repack"}


def test_two_operators_elect_and_one_does_not():
    several, one = rendered(MATRIX["highly-available"]), rendered({})
    assert environment(several, "operator")["REPACK_OPERATOR_LEADER_ELECTION"] == "true"
    assert of_kind(several, "Deployment", "operator")["spec"]["strategy"]["type"] == "RollingUpdate"
    assert of_kind(several, "PodDisruptionBudget", "operator")["spec"]["maxUnavailable"] == 1
    assert "REPACK_OPERATOR_LEADER_ELECTION" not in environment(one, "operator")
    assert of_kind(one, "Deployment", "operator")["spec"]["strategy"]["type"] == "Recreate"
    assert not [o for o in one if o["kind"] in {"PodDisruptionBudget", "Role"}]


def test_the_dashboard_has_time_to_drain():
    spec = of_kind(rendered({"dashboard": {"drainSeconds": 30}}), "Deployment", "dashboard")["spec"]["template"]["spec"]
    assert spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
    assert spec["terminationGracePeriodSeconds"] >= 5 + 30 + 20


def test_an_http_route_has_no_time_limit_that_would_cut_websockets():
    values = {
        "dashboard": {"httpRoute": {"enabled": True, "parentRefs": [{"name": "gate"}], "hostnames": ["a.example"]}}
    }
    (rule,) = of_kind(rendered(values, GATEWAY), "HTTPRoute")["spec"]["rules"]
    assert rule["timeouts"] == {"request": "0s", "backendRequest": "0s"}
    assert rule["backendRefs"] == [{"name": "dify-repack-dashboard", "port": 80}]


def test_monitors_are_left_out_where_their_kinds_are_missing():
    kinds = {"PodMonitor", "ServiceMonitor", "PrometheusRule"}
    assert not kinds & {o["kind"] for o in rendered(MATRIX["observed"])}
    assert kinds <= {o["kind"] for o in rendered(MATRIX["observed"], *MONITORING)}
    always = {"monitoring": {"rules": {"enabled": True, "renderMode": "alwaysRender"}}}
    assert of_kind(rendered(always), "PrometheusRule")["spec"]["groups"]


def test_the_template_of_the_crd_is_the_file_that_kubectl_applies():
    crd = of_kind(rendered({}), "CustomResourceDefinition")
    assert crd["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    crd["metadata"].pop("labels")
    assert crd == yaml.safe_load((ROOT / "crds/repackagetasks.yaml").read_text("utf-8"))
    assert not [o for o in rendered(MATRIX["without-page"]) if o["kind"] == "CustomResourceDefinition"]


def test_every_metric_of_the_alerts_and_of_grafana_exists():
    folders = (ROOT / "operator/src/repack_operator", ROOT / "dashboard/server/src")
    sources = [path for folder in folders for path in folder.rglob("*.py")]
    made = set(re.findall(r'"(?:repack_)?([a-z_]+)"', " ".join(path.read_text("utf-8") for path in sources)))
    files = [CHART / "files/rules.yaml", *(CHART / "dashboards").glob("*.json")]
    used = set(re.findall(r"\brepack_([a-z_]+)", " ".join(path.read_text("utf-8") for path in files)))
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}
    assert {name for name in bare if name not in made and name.removesuffix("_total") not in made} == set()


def test_prometheus_takes_the_alerts():
    promtool = require_command("promtool", install="apt-get install prometheus")
    done = subprocess.run(
        [promtool, "check", "rules", str(CHART / "files/rules.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
