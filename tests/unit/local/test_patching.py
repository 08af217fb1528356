"""Patches and server-side apply, where more can go wrong than the conformance cases show."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repack_local.api.applying import apply
from repack_local.api.patching import merge, strategic
from repack_local.api.statuses import ApiError

NOW = "2026-11-23T06:00:00Z"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "scalar"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": [1]}, {"a": [1]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({}, {"a": {"b": None}}, {"a": {}}),
    ],
)
def test_a_merge_patch_follows_its_rfc(target: Any, patch: Any, result: Any) -> None:
    assert merge(target, patch) == result


@given(json_values, json_values)
def test_a_merge_patch_twice_is_a_merge_patch_once_and_changes_no_argument(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    once = merge(target, patch)
    assert merge(once, patch) == once
    assert (target, patch) == before


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]},
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}]},
        ),
        (
            {"env": [{"name": "A"}, {"name": "B"}]},
            {"env": [{"name": "A", "$patch": "delete"}]},
            {"env": [{"name": "B"}]},
        ),
        ({"env": [{"name": "A"}]}, {"env": [{"$patch": "replace"}, {"name": "C"}]}, {"env": [{"name": "C"}]}),
        ({"args": ["a"]}, {"args": ["b"]}, {"args": ["b"]}),
        ({"finalizers": ["a"]}, {"finalizers": ["b"]}, {"finalizers": ["a", "b"]}),
        ({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}, {"finalizers": ["b"]}),
        ({"s": {"a": 1, "b": 2}}, {"s": {"$retainKeys": ["b"], "b": 3}}, {"s": {"b": 3}}),
        ({"s": {"a": 1}}, {"s": {"$patch": "replace", "b": 2}}, {"s": {"b": 2}}),
        ({"env": [{"name": "A"}]}, {"$setElementOrder/env": [{"name": "A"}]}, {"env": [{"name": "A"}]}),
        ({"a": 1}, {"a": None}, {}),
    ],
)
def test_a_strategic_patch_obeys_its_directives(target: Any, patch: Any, result: Any) -> None:
    assert strategic(target, patch) == result


def by_arch(path: tuple[str, ...]) -> tuple[str, ...]:
    return ("arch",) if path == ("spec", "targets") else ()


def applied(old: Any, config: Any, *, manager: str = "me", force: bool = False) -> Any:
    return apply(old, config, manager=manager, force=force, keys=by_arch, now=NOW)


def a_config(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "a"}, "spec": spec}


def test_applying_twice_changes_nothing() -> None:
    once = applied(None, a_config(a=1, targets=[{"arch": "x", "n": 1}]))
    assert applied(once, a_config(a=1, targets=[{"arch": "x", "n": 1}])) == once


def test_items_of_a_map_list_belong_to_who_applied_them() -> None:
    mine = applied(None, a_config(targets=[{"arch": "x"}]))
    both = applied(mine, a_config(targets=[{"arch": "y"}]), manager="you")
    assert both["spec"]["targets"] == [{"arch": "x"}, {"arch": "y"}]
    without = applied(both, a_config(targets=[]), manager="you")
    assert without["spec"]["targets"] == [{"arch": "x"}]


def test_a_shared_field_stays_when_one_manager_gives_it_up() -> None:
    both = applied(applied(None, a_config(a=1)), a_config(a=1), manager="you")
    assert applied(both, a_config())["spec"] == {"a": 1}


def test_a_forced_field_changes_its_owner() -> None:
    mine = applied(None, a_config(a=1, b=2))
    with pytest.raises(ApiError, match=r'conflict with "me": \.spec\.a'):
        applied(mine, a_config(a=5), manager="you")
    yours = applied(mine, a_config(a=5), manager="you", force=True)
    assert yours["spec"] == {"a": 5, "b": 2}
    assert applied(yours, a_config(b=2))["spec"] == {"a": 5, "b": 2}, "I do not own it any more"
    assert mine["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:a"] == {}, "the stored object is not touched"
