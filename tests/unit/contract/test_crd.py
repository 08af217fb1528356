"""The CRD that the models give: the rules that were proven on a real API server are all there (operator.md 6.1)."""

from pathlib import Path
from typing import Any

from repack_contract.schema import crd

VERSION = crd()["spec"]["versions"][0]
ROOT_SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SPEC = ROOT_SCHEMA["properties"]["spec"]
STATUS = ROOT_SCHEMA["properties"]["status"]


def rules(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [entry["rule"] for entry in value.get("x-kubernetes-validations", [])]
        return own + [rule for item in value.values() for rule in rules(item)]
    return []


def sentences(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [entry["message"] for entry in value.get("x-kubernetes-validations", [])]
        return own + [text for item in value.values() for text in sentences(item)]
    return [text for item in value for text in sentences(item)] if isinstance(value, list) else []


def test_all_18_rules_are_there():
    assert len(rules(ROOT_SCHEMA)) == 18


def test_what_decides_the_result_is_immutable():
    immutable = {rule.split(" == ")[0] for rule in rules(SPEC) if rule.endswith(tuple("abcdefghijklmnopqrstuvwxyzN"))}
    assert {f"self.{field}" for field in ("source", "targets", "python", "mode", "dryRun")} <= immutable


def test_final_phases_and_a_growing_sequence_are_enforced_by_the_api_server():
    assert "!(oldSelf in ['Succeeded','Failed','Cancelled']) || self == oldSelf" in rules(STATUS)
    assert "!has(oldSelf.sequence) || (has(self.sequence) && self.sequence >= oldSelf.sequence)" in rules(STATUS)


def test_lists_with_a_key_are_maps_for_the_api_server():
    assert SPEC["properties"]["targets"]["x-kubernetes-list-map-keys"] == ["arch"]
    assert STATUS["properties"]["artifacts"]["x-kubernetes-list-map-keys"] == ["target"]
    assert STATUS["properties"]["conditions"]["x-kubernetes-list-map-keys"] == ["type"]


def test_the_default_of_retry_is_whole_because_its_rule_is_evaluated_before_nested_defaults():
    assert SPEC["properties"]["retry"]["default"] == {"limit": 2, "backoffSeconds": 10, "maxBackoffSeconds": 300}


def test_the_schema_is_structural():
    def check(schema: dict[str, Any], path: str) -> None:
        assert "$ref" not in schema, path
        assert "anyOf" not in schema, path
        assert "title" not in schema, path
        assert "type" in schema, path
        for name, inner in schema.get("properties", {}).items():
            check(inner, f"{path}.{name}")
        if "items" in schema:
            check(schema["items"], f"{path}[]")

    check(ROOT_SCHEMA, "")


def test_kubectl_shows_what_a_user_asks_first():
    shown = [column["name"] for column in VERSION["additionalPrinterColumns"] if not column.get("priority")]
    assert shown == ["Phase", "Progress", "Plugin", "Attempt", "Duration", "Age"]


def test_a_test_is_named_for_the_sentence_of_each_rule():
    matrix = (Path(__file__).resolve().parents[3] / "docs/operator-matrix.md").read_text("utf-8")
    missing = [sentence for sentence in sentences(crd()) if sentence not in matrix]
    assert missing == []


def test_kubectl_explain_has_a_sentence_for_every_field():
    def nameless(schema, path):
        for name, field in schema.get("properties", {}).items():
            if not field.get("description", "").endswith((".", "!")):
                yield f"{path}.{name}"
            yield from nameless(field.get("items", field), f"{path}.{name}")

    assert [*nameless(SPEC, "spec"), *nameless(STATUS, "status")] == []
