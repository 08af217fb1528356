"""Generate the CRD from the models: `python -m repack_contract.schema --write | --check`.

A structural schema is JSON Schema without references, titles and nulls; the conversion below is all there is to it.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from repack_contract import naming
from repack_contract.naming import MAX_TASK_NAME
from repack_contract.task import Spec, Status

Json = dict[str, Any]

_COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Progress", "integer", ".status.progress.percent", 0),
    ("Plugin", "string", ".status.plugin.displayName", 0),
    ("Attempt", "integer", ".status.attempt", 0),
    ("Duration", "string", ".status.duration", 0),
    ("Reason", "string", ".status.reason", 1),
    ("Job", "string", ".status.job.name", 1),
    # A column shows one value: the first target's artifact.
    ("Artifact", "string", ".status.artifacts[0].uri", 1),
    ("Message", "string", ".status.message", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)

_ROOT_RULES = (
    (
        f"size(self.metadata.name) <= {MAX_TASK_NAME}",
        f"metadata.name must be at most {MAX_TASK_NAME} characters (Job names add a prefix and a suffix)",
    ),
    ("!has(oldSelf.status) || has(self.status)", "status cannot be removed"),
    (
        "!has(self.status) || !has(self.status.phase) || self.status.phase != 'Succeeded' || self.spec.dryRun || "
        "(has(self.status.artifacts) && self.spec.targets.all(t, self.status.artifacts.exists(a, a.target == t.arch "
        "&& has(a.verification) && a.verification.passed)))",
        "phase Succeeded needs a verified artifact for every entry of spec.targets, unless spec.dryRun is true",
    ),
)


def structural(schema: Json, definitions: Json) -> Json:
    """Return a JSON Schema of pydantic as a structural schema of Kubernetes."""
    if "$ref" in schema:
        named = definitions[schema["$ref"].rpartition("/")[2]]
        # What stands beside a reference describes the field and wins over what the model says of itself.
        return structural({**named, **{key: value for key, value in schema.items() if key != "$ref"}}, definitions)
    if "anyOf" in schema:
        (present,) = (option for option in schema["anyOf"] if option.get("type") != "null")
        rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
        return structural({**present, **rest}, definitions)
    result = {key: value for key, value in schema.items() if key not in {"title", "additionalProperties"}}
    if "properties" in result:
        result["properties"] = {key: structural(value, definitions) for key, value in result["properties"].items()}
    if "items" in result:
        result["items"] = structural(result["items"], definitions)
    if result.get("default", ...) is None:
        del result["default"]
    if "description" in result:
        result["description"] = " ".join(result["description"].split())
    return result


def _model_schema(model: type[Spec] | type[Status]) -> Json:
    schema = model.model_json_schema(by_alias=True, mode="validation")
    definitions = schema.pop("$defs", {})
    return structural(schema, definitions)


def crd() -> Json:
    """Return the CustomResourceDefinition of RepackageTask."""
    version: Json = {
        "name": naming.VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        # Kubernetes >= 1.31; ignored by older ones.
        "selectableFields": [{"jsonPath": ".status.phase"}, {"jsonPath": ".spec.source.type"}],
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})
            for name, kind, path, priority in _COLUMNS
        ],
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": "One wish to have a Dify plugin repackaged for a closed network, and what became of it.",
                "required": ["spec"],
                "x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in _ROOT_RULES],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": _model_schema(Spec),
                    "status": _model_schema(Status),
                },
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{naming.PLURAL}.{naming.GROUP}"},
        "spec": {
            "group": naming.GROUP,
            "scope": "Namespaced",
            "names": {
                "plural": naming.PLURAL,
                "singular": naming.SINGULAR,
                "kind": naming.KIND,
                "listKind": naming.LIST_KIND,
                "shortNames": [naming.SHORT_NAME],
                "categories": ["all", "dify"],
            },
            "versions": [version],
        },
    }


def crd_yaml() -> str:
    """Return the file that users apply. JSON strings are YAML strings, so no YAML library is needed."""
    head = "# Generated by `make generate` from operator/src/repack_contract. Do not edit.\n"
    return head + "\n".join(_yaml_lines(crd(), depth=0)) + "\n"


def _yaml_lines(value: Any, *, depth: int) -> list[str]:
    pad = "  " * depth
    lines: list[str] = []
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict | list) and item:
                lines += [f"{pad}{key}:", *_yaml_lines(item, depth=depth + 1)]
            else:
                lines.append(f"{pad}{key}: {_scalar(item)}")
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and item:
                first, *rest = _yaml_lines(item, depth=depth + 1)
                lines += [f"{pad}- {first.lstrip()}", *rest]
            else:
                lines.append(f"{pad}- {_scalar(item)}")
    return lines


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def generated_files(root: Path) -> dict[Path, str]:
    """Return every file that this module writes, with its right content."""
    return {root / "crds" / "repackagetasks.yaml": crd_yaml()}


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or say which are stale; the exit code is 1 when one is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path.cwd())
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", action="store_true")
    group.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    stale = []
    for path, content in generated_files(options.root).items():
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            stale.append(path)
            if options.write:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
    for path in stale:
        sys.stdout.write(f"{'written' if options.write else 'stale'}: {path}\n")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
