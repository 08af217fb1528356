"""What people write for a plugin; the page's tests read the same file."""

import json
from pathlib import Path

import pytest

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.source_text import LocalFile, understand

GOLDEN = json.loads((Path(__file__).parents[2] / "source_texts.json").read_text("utf-8"))


@pytest.mark.parametrize("case", GOLDEN["sources"], ids=lambda case: case["text"])
def test_a_text_is_understood_as_the_source_it_means(case):
    understood = understand(case["text"])
    assert not isinstance(understood, LocalFile)
    assert understood.wire() == case["source"]


@pytest.mark.parametrize("text", GOLDEN["local"])
def test_a_path_is_a_place_of_this_machine(text):
    assert understand(text) == LocalFile(text)


@pytest.mark.parametrize("text", [*GOLDEN["unclear"], "", "https://github.com/a", "https://[::1/x.difypkg"])
def test_a_text_that_names_nothing_says_what_can_be_written(text):
    with pytest.raises(RepackError) as caught:
        understand(text)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert caught.value.hint
    assert "secret" not in caught.value.with_hint


def test_pages_of_ones_own_marketplace_are_understood_too():
    hosts = frozenset({"market.example.com"})
    understood = understand("https://market.example.com/plugins/a/b/1.0", marketplace_hosts=hosts)
    assert not isinstance(understood, LocalFile)
    assert understood.marketplace
    assert understood.marketplace.version == "1.0"
