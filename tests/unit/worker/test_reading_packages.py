"""Reading a package that nobody vouches for: each trick is refused, with the entry named, and nothing lands outside."""

import contextlib
import hashlib
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.archive import Limits, Member, checksum_of, pack, unpack

LIMITS = Limits(entries=1000, total_bytes=64 << 20)


def zip_of(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def refusal(package: Path, tmp_path: Path, limits: Limits = LIMITS) -> RepackError:
    with pytest.raises(RepackError) as caught:
        unpack(package, tmp_path / "into" / "deep", limits=limits)
    inside = set((tmp_path / "into").rglob("*")) if (tmp_path / "into").exists() else set()
    outside = {path for path in tmp_path.rglob("*") if path not in inside} - {package, tmp_path / "into"}
    assert not outside, "something was written outside the folder"
    return caught.value


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("../evil", "'..'"),
        ("a/../../evil", "'..'"),
        ("/etc/evil", "absolute"),
        ("C:/evil", "absolute"),
        ("a\\evil", "backslash"),
        ("a//b", "empty or '.'"),
        ("a/./b", "empty or '.'"),
        ("wheels/", "folder"),
        ("a\x01b", "control"),
        ("x" * 300, "too long"),
    ],
)
def test_an_entry_with_a_hostile_name_is_refused_by_name(tmp_path, name, fault):
    error = refusal(zip_of(tmp_path / "p.difypkg", ("manifest.yaml", b""), (name, b"x")), tmp_path)
    assert error.reason is Reason.INVALID_PACKAGE
    assert fault in error.message
    assert repr(name)[1:20] in error.message


def test_an_entry_that_is_a_symbolic_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    error = refusal(zip_of(tmp_path / "p.difypkg", (link, b"/etc/passwd")), tmp_path)
    assert "'link' is a symbolic link" in error.message


def test_two_entries_of_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        package = zip_of(tmp_path / "p.difypkg", ("a", b"1"), ("a", b"2"))
    assert "two entries named 'a'" in refusal(package, tmp_path).message


def test_a_file_that_is_also_a_folder_is_refused(tmp_path):
    error = refusal(zip_of(tmp_path / "p.difypkg", ("a", b"1"), ("a/b", b"2")), tmp_path)
    assert "'a' is a file, and a folder" in error.message


def test_a_bomb_is_stopped_by_its_ratio_while_it_is_read(tmp_path):
    error = refusal(zip_of(tmp_path / "p.difypkg", ("bomb", bytes(60 << 20))), tmp_path)
    assert error.reason is Reason.INVALID_PACKAGE
    assert "bomb" in error.message
    written = sum(path.stat().st_size for path in (tmp_path / "into").rglob("*") if path.is_file())
    assert written < 20 << 20


def test_a_package_above_the_total_is_refused(tmp_path):
    package = zip_of(tmp_path / "p.difypkg", ("a", b"x" * 600), ("b", b"x" * 600))
    error = refusal(package, tmp_path, Limits(total_bytes=1000))
    assert error.reason is Reason.PACKAGE_TOO_LARGE
    assert "'b'" in error.message


def test_sizes_in_headers_are_not_believed(tmp_path):
    package = zip_of(tmp_path / "p.difypkg", ("a", b"x" * 5000))
    data = bytearray(package.read_bytes())
    directory = data.rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, directory + 24, 10)  # the uncompressed size that the directory claims
    package.write_bytes(data)
    assert refusal(package, tmp_path).reason is Reason.INVALID_PACKAGE


def test_too_many_entries_are_refused_before_they_are_read(tmp_path):
    package = zip_of(tmp_path / "p.difypkg", *((f"f{number}", b"") for number in range(50)))
    assert "50 entries" in refusal(package, tmp_path, Limits(entries=49)).message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html>not found</html>", "a web page"),
        (b"just some text, longer than an end record", "not a zip file"),
        (b"PK\x05\x06" + b"\xff" * 18, "zip64"),
    ],
)
def test_a_file_that_is_no_zip_is_named_for_what_it_is(tmp_path, content, words):
    package = tmp_path / "p.difypkg"
    package.write_bytes(content)
    error = refusal(package, tmp_path)
    assert error.reason is Reason.INVALID_PACKAGE
    assert words in error.message


def test_a_damaged_zip_is_refused(tmp_path):
    package = zip_of(tmp_path / "p.difypkg", ("a", bytes(range(256)) * 40))
    data = bytearray(package.read_bytes())
    data[60] ^= 0xFF
    package.write_bytes(data)
    assert "damaged" in refusal(package, tmp_path).message


@given(st.binary(max_size=400))
def test_no_bytes_at_all_make_the_reader_fail_in_another_way(tmp_path_factory, noise):
    folder = tmp_path_factory.mktemp("noise")
    package = zip_of(folder / "p.difypkg", ("a", b"hello"))
    package.write_bytes(noise + package.read_bytes()[len(noise) // 2 :])
    with contextlib.suppress(RepackError):  # anything else fails the test
        unpack(package, folder / "into", limits=LIMITS)


def test_the_checksum_is_that_of_the_daemon(tmp_path):
    """decoder/checksum.go: names sorted bytewise, sha256(name) then sha256(content) of each."""
    content = {"b.txt": b"two", "a/z.txt": b"one"}
    package = zip_of(tmp_path / "p.difypkg", *content.items())
    expected = hashlib.sha256()
    for name in sorted(content):
        expected.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(content[name]).digest())
    assert unpack(package, tmp_path / "into", limits=LIMITS).checksum == expected.hexdigest()


def test_a_written_package_has_no_folders_fixed_dates_and_stored_wheels(tmp_path):
    wheel = tmp_path / "x.whl"
    wheel.write_bytes(b"w" * 100)
    members = [Member("wheels/x.whl", wheel, stored=True), Member("manifest.yaml", b"text" * 100)]
    checksum = pack(members, tmp_path / "p.difypkg")
    with zipfile.ZipFile(tmp_path / "p.difypkg") as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == ["manifest.yaml", "wheels/x.whl"]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert [entry.compress_type for entry in entries] == [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED]
    assert unpack(tmp_path / "p.difypkg", tmp_path / "into", limits=LIMITS).checksum == checksum


def test_a_package_that_cannot_be_finished_is_removed(tmp_path):
    with pytest.raises(FileNotFoundError):
        pack([Member("a", b"1"), Member("b", tmp_path / "absent")], tmp_path / "p.difypkg")
    assert not list(tmp_path.iterdir())


def test_checksums_do_not_depend_on_the_order_of_files():
    one, two = hashlib.sha256(b"1").digest(), hashlib.sha256(b"2").digest()
    assert checksum_of({"a": one, "b": two}) == checksum_of({"b": two, "a": one}) != checksum_of({"a": two, "b": one})
