"""Rendering the chart with the real helm."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from requirements import require_command

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts/dify-repack"
Object = dict[str, Any]


def helm(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm."""
    program = require_command("helm", install="the package of your system, or the one of helm.sh")
    return subprocess.run([program, *arguments], check=False, input=given, capture_output=True, text=True, timeout=50)


def template(values: Object, *arguments: str, namespace: str = "repack") -> subprocess.CompletedProcess[str]:
    """Render, without a cluster."""
    command = ["template", "dify-repack", str(CHART), "-n", namespace, "-f", "-", *arguments]
    return helm(*command, given=json.dumps(values))


def rendered(values: Object, *arguments: str) -> list[Object]:
    """Return all objects, those of `helm test` too."""
    done = template(values, *arguments)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def refusal(values: Object, *arguments: str) -> str:
    """Return what helm says of values that it refuses."""
    done = template(values, *arguments)
    assert done.returncode != 0, "nothing was refused"
    return done.stderr


def of_kind(objects: list[Object], kind: str, name: str = "") -> Object:
    """Return the one object of a kind (whose name ends so)."""
    (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(name)]
    return found


def pod_specs(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Return every Pod of the objects."""
    for each in objects:
        if each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]
        elif each["kind"] == "Deployment":
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def environment(objects: list[Object], component: str) -> dict[str, str]:
    """Return the environment of a Deployment, without what comes from elsewhere."""
    container = of_kind(objects, "Deployment", component)["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
