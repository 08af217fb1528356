"""Structural schemas and rules beyond what our own CRD shows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repack_local.api.schema import Schema

Object = dict[str, Any]


def a_schema(properties: Object, **more: Any) -> Schema:
    return Schema({"type": "object", "properties": {"spec": {"type": "object", "properties": properties, **more}}})


def test_what_may_hold_anything_is_not_pruned() -> None:
    schema = a_schema(
        {
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {}}}},
            "closed": {"type": "object"},
        }
    )
    spec = {"free": {"x": 1}, "map": {"k": {"a": 1, "b": 2}}, "closed": {"x": 1}}
    pruned, unknown = schema.prune({"spec": spec, "metadata": {"anything": 1}})
    assert pruned == {"spec": {"free": {"x": 1}, "map": {"k": {"a": 1}}, "closed": {}}, "metadata": {"anything": 1}}
    assert unknown == ["spec.map.k.b", "spec.closed.x"]


def test_defaults_go_into_items_and_are_never_shared() -> None:
    item = {"type": "object", "properties": {"n": {"type": "object", "default": {"a": 1}}}}
    schema = a_schema({"list": {"type": "array", "items": item}})
    filled = schema.fill_in({"spec": {"list": [{}, {}]}})
    first, second = filled["spec"]["list"]
    assert first == {"n": {"a": 1}}
    first["n"]["a"] = 2
    assert second == {"n": {"a": 1}}


def test_a_nullable_field_keeps_its_null() -> None:
    schema = a_schema({"a": {"type": "string", "nullable": True, "default": "x"}})
    assert schema.fill_in({"spec": {"a": None}}) == {"spec": {"a": None}}


def test_rules_see_each_item_and_its_predecessor() -> None:
    rule = {"rule": "self.n >= oldSelf.n", "message": "must not shrink"}
    item = {
        "type": "object",
        "properties": {"k": {"type": "string"}, "n": {"type": "integer"}},
        "x-kubernetes-validations": [rule],
    }
    listed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    schema = a_schema({"list": {"type": "array", "items": item, **listed}})
    old = {"spec": {"list": [{"k": "a", "n": 1}, {"k": "b", "n": 5}]}}
    assert schema.problems({"spec": {"list": [{"k": "b", "n": 5}, {"k": "c", "n": 0}]}}, old=old) == []
    causes = schema.problems({"spec": {"list": [{"k": "b", "n": 4}]}}, old=old)
    assert [(c.field, c.message) for c in causes] == [("spec.list[0]", "Invalid value: must not shrink")]


def test_rules_are_not_checked_on_a_broken_structure() -> None:
    schema = a_schema({"a": {"type": "integer"}}, **{"x-kubernetes-validations": [{"rule": "self.a > 5"}]})
    causes = schema.problems({"spec": {"a": "x"}}, old=None)
    assert [c.field for c in causes] == ["spec.a", "<nil>"]


def test_a_rule_that_cannot_be_evaluated_refuses() -> None:
    schema = a_schema({"a": {"type": "integer"}}, **{"x-kubernetes-validations": [{"rule": "self.a > 5"}]})
    assert [c.field for c in schema.problems({"spec": {}}, old=None)] == ["spec"]


def test_a_number_that_rules_cannot_hold_is_refused() -> None:
    schema = a_schema({"a": {"type": "integer"}}, **{"x-kubernetes-validations": [{"rule": "self.a > 5"}]})
    assert [c.field for c in schema.problems({"spec": {"a": 2**63}}, old=None)] == ["spec"]


@given(st.integers(-9, 9), st.integers(-9, 9))
def test_remembered_answers_are_those_of_the_same_question(first: int, second: int) -> None:
    rule = {"rule": "self.a == oldSelf.a", "message": "immutable"}
    schema = a_schema({"a": {"type": "integer"}, "b": {"type": "integer"}}, **{"x-kubernetes-validations": [rule]})
    for new, old in ((first, second), (second, first), (first, first)):
        found = schema.problems({"spec": {"a": new, "b": 1}}, old={"spec": {"a": old, "b": 2}})
        assert (found == []) == (new == old)


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("2026-11-23T06:00:00Z", True),
        ("2026-11-23T06:00:00.123456+08:00", True),
        ("2026-11-23", False),
        ("2026-13-23T06:00:00Z", False),
        ("soon", False),
    ],
)
def test_times_are_checked(value: str, *, good: bool) -> None:
    schema = a_schema({"t": {"type": "string", "format": "date-time"}})
    assert (schema.problems({"spec": {"t": value}}, old=None) == []) is good


def test_numbers_fit_their_format() -> None:
    schema = a_schema({"n": {"type": "integer", "format": "int32"}})
    assert schema.problems({"spec": {"n": 2**31 - 1}}, old=None) == []
    assert "spec.n" in [cause.field for cause in schema.problems({"spec": {"n": 2**31}}, old=None)]
