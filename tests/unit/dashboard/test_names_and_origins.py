"""Names made from sources and file names, checksums as announced, and pages that may call us."""

from typing import Any

import pytest

from builders import a_task
from repack_dashboard.artifacts import announced_sha256
from repack_dashboard.auth import is_known_host, is_own_page
from repack_dashboard.packages import key_part
from repack_dashboard.problems import ProblemError
from repack_dashboard.tasks import derived_name


@pytest.mark.parametrize(
    ("source", "upload", "name"),
    [
        ({"type": "URL", "url": {"url": "https://x.test/a/b_c-1.2.difypkg?q=1"}}, None, "b-c-1-2"),
        ({"type": "URL", "url": {"url": "https://x.test/%E6%8F%92%E4%BB%B6.difypkg"}}, None, "task"),
        ({"type": "URL", "url": {"url": "https://x.test/"}}, None, "task"),
        ({"type": "Upload", "upload": {"key": "k"}}, "Mine (2).difypkg", "mine-2"),
        ({"type": "Marketplace", "marketplace": {"author": "a", "name": "n", "version": "0.1"}}, None, "n-0-1"),
        ({"type": "GitHub", "github": {"repo": "o/r", "tag": "v1", "asset": "p.difypkg"}}, None, "p"),
    ],
)
def test_a_task_is_named_after_its_source(source: dict[str, Any], upload: str | None, name: str) -> None:
    assert derived_name(a_task(spec={"source": source}).spec, upload) == name


@pytest.mark.parametrize(
    ("filename", "part"),
    [("a b.difypkg", "a-b.difypkg"), ("..", "package"), ("插件.difypkg", "difypkg"), ("x" * 300, "x" * 120)],
)
def test_a_key_shows_the_file_name_in_characters_that_a_spec_allows(filename: str, part: str) -> None:
    assert key_part(filename) == part


def test_a_checksum_is_read_in_both_forms_and_nothing_else() -> None:
    hexadecimal = "ab" * 32
    assert announced_sha256(hexadecimal.upper(), None) == hexadecimal
    standard = "sha-512=:xx:, sha-256=:q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=:"
    assert announced_sha256(None, standard) == hexadecimal
    for plain, digest in ((None, None), ("xyz", None), (None, "sha-256=:????:"), (None, "sha-256=:YWJj:")):
        with pytest.raises(ProblemError, match="sha256 is missing"):
            announced_sha256(plain, digest)


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        (None, True),
        ("http://host:8080", True),
        ("http://HOST:8080", True),
        ("https://proxy.test", True),
        ("http://host", False),
        ("https://evil.test", False),
        ("null", False),
        ("", False),
        ("http://host:8080.evil.test", False),
    ],
)
def test_only_pages_of_our_own_host_or_of_an_allowed_origin_are_ours(origin: str | None, is_ours: bool) -> None:
    assert is_own_page(origin, host="host:8080", allowed=["https://proxy.test"]) is is_ours


def test_hosts_are_compared_by_name_where_any_are_listed() -> None:
    assert is_known_host("anything", allowed=[])
    assert is_known_host("LocalHost:99", allowed=["localhost"])
    assert is_known_host("[::1]:99", allowed=["::1"])
    assert not is_known_host("localhost.evil.test", allowed=["localhost"])
    assert not is_known_host(None, allowed=["localhost"])
