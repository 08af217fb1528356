import pytest

from builders import a_task
from repack_contract.spec_rules import check_spec

GOOD = {"type": "URL", "url": {"url": "http://files.test/x.difypkg"}}


def fields(**spec: object) -> list[str]:
    return [error.field for error in check_spec(a_task(spec=spec))]


def test_a_good_task_breaks_no_rule():
    assert check_spec(a_task()) == []


@pytest.mark.parametrize(
    ("source", "broken"),
    [
        ({"type": "URL"}, ["spec.source.url"]),
        ({"type": "Upload", "upload": {"key": "k"}, "url": GOOD["url"]}, ["spec.source.url"]),
        ({"type": "GitHub"}, ["spec.source.github"]),
        ({"type": "Marketplace", "upload": {"key": "k"}}, ["spec.source.marketplace", "spec.source.upload"]),
    ],
)
def test_a_source_must_carry_exactly_what_its_type_names(source: dict[str, object], broken: list[str]):
    assert fields(source=source) == broken


def test_a_target_may_be_named_once():
    assert fields(targets=[{"arch": "amd64"}, {"arch": "amd64"}]) == ["spec.targets"]


def test_the_longest_back_off_is_no_shorter_than_the_first():
    assert fields(retry={"backoffSeconds": 20, "maxBackoffSeconds": 10}) == ["spec.retry.maxBackoffSeconds"]


def test_a_name_leaves_room_for_the_jobs_prefix_and_suffix():
    assert [error.field for error in check_spec(a_task(name="a" * 53))] == ["metadata.name"]
