"""A corpus of packages that want to do harm: each refused with its reason, within fixed memory and time.

Each one is read by a process of its own whose memory and time the kernel bounds; what the process needs itself
(about 150 MB of address space for Python and our imports) is part of it.
"""

import contextlib
import json
import resource
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.hostile import RawEntry, raw_zip, unicode_path, zip64_end
from fakes.plugins import MANIFEST, PYPROJECT, a_package, plugin_files
from repack_contract.choices import Arch
from repack_contract.errors import RepackError
from repack_worker.archive import Limits, unpack
from repack_worker.plan import choose, git_source
from repack_worker.platforms import Platform
from repack_worker.texts import read_toml, read_yaml

MEMORY = 512 << 20
SECONDS = 20

READER = """
import json, os, resource, sys
from pathlib import Path
from repack_contract.errors import RepackError
from repack_contract.choices import Arch
from repack_worker.archive import Limits, unpack
from repack_worker.lock import LOCK, plan_from_lock
from repack_worker.platforms import Platform
from repack_worker.plugin import read_plugin
from repack_worker.requirement_lines import REQUIREMENTS, read_requirements
from repack_worker.wanted import from_pyproject
memory, seconds = int(sys.argv[1]), int(sys.argv[2])

def read(package, into):
    plugin = read_plugin(unpack(package, into, limits=Limits(entries=100_000, total_bytes=256 << 20)))
    if LOCK in plugin.names:
        plan_from_lock(plugin.text_of(LOCK), platform=Platform(arch=Arch.AMD64, python="3.12"))
    elif REQUIREMENTS in plugin.names:
        read_requirements(plugin.text_of(REQUIREMENTS))
    elif "pyproject.toml" in plugin.names:
        from_pyproject(plugin)

def child(package, into):
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    try:
        read(Path(package), Path(into))
        told = {"reason": None, "message": ""}
    except RepackError as error:
        told = {"reason": error.reason.value, "message": error.message}
    except BaseException as error:
        told = {"reason": "none", "message": f"{type(error).__name__}: {error}"}
    print(json.dumps(told), flush=True)

for line in sys.stdin:
    if (pid := os.fork()) == 0:
        child(*json.loads(line))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        print(json.dumps({"reason": "none", "message": f"ended by the kernel: {status}"}), flush=True)
"""


@pytest.fixture(scope="module")
def reader() -> Iterator["subprocess.Popen[str]"]:
    """A process that has imported everything and reads each package in a fork of its own, within the bounds."""
    command = [sys.executable, "-c", READER, str(MEMORY), str(SECONDS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture
def read(tmp_path, reader) -> Iterator[Callable[[Path], dict[str, Any]]]:
    """Read a package in a bounded process; nothing may land outside its folder."""

    def bounded(package: Path) -> dict[str, Any]:
        (tmp_path / "in").mkdir()
        reader.stdin.write(json.dumps([str(package), str(tmp_path / "in" / "to")]) + "\n")
        reader.stdin.flush()
        told: dict[str, Any] = json.loads(reader.stdout.readline())
        assert {path.name for path in tmp_path.iterdir()} <= {"in", package.name}, "something landed outside"
        assert {path.name for path in (tmp_path / "in").iterdir()} <= {"to"}, "something landed outside"
        return told

    yield bounded
    shutil.rmtree(tmp_path, ignore_errors=True)


def entry(name: str | bytes, **more: Any) -> RawEntry:
    return RawEntry(name if isinstance(name, bytes) else name.encode(), **more)


def overlapping(path: Path) -> Path:
    """Many entries, one body: each is small alone, and together they are a bomb."""
    first = RawEntry(b"a", content=bytes(4 << 20), deflated=True)
    others = [RawEntry(f"b{n}".encode(), content=first.content, deflated=True, offset=0) for n in range(40)]
    return raw_zip(path, first, *others)


def zip64_claiming(path: Path) -> Path:
    """The end record is innocent; the zip64 one says that the whole file is a directory."""
    one = RawEntry(b"a", content=b"PK\x01\x02" + bytes(42) * 200_000)
    size = len(one.local())
    end = zip64_end(entries=200_000, directory_bytes=size, directory_at=0, at=size)
    return raw_zip(path, one, before_end=end)


def hidden_entries(path: Path) -> Path:
    """The end record says one entry; its directory holds 900,000, which would cost a gigabyte to read."""
    entries = b"".join(RawEntry(b"a").central(0) for _ in range(1000)) * 900
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entries), 31, 0)
    path.write_bytes(RawEntry(b"a").local() + entries + end)
    return path


def forest(path: Path) -> Path:
    """Few files, and hundreds of thousands of folders for them."""
    names = [f"{number}/" + "d/" * 500 + "f" for number in range(900)]
    return raw_zip(path, *(entry(name, content=b"") for name in names))


ARCHIVES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "a NUL hides the rest of a name": ("control characters", lambda p: raw_zip(p, entry(b"good\0../../evil"))),
    "a line break in a name": ("control characters", lambda p: raw_zip(p, entry("a\nb"))),
    "an escape sequence in a name": ("control characters", lambda p: raw_zip(p, entry("a\x1b[2Jb"))),
    "a name that is turned around": ("control characters", lambda p: raw_zip(p, entry("a\u202eyp.b"))),
    "a name that is no UTF-8": ("", lambda p: raw_zip(p, entry(b"\xff\xfe"))),
    "an empty name": ("control characters", lambda p: raw_zip(p, entry(""))),
    "only dots": ("'..'", lambda p: raw_zip(p, entry(".."))),
    "up and up": ("'..'", lambda p: raw_zip(p, entry("a/../../../evil"))),
    "up with backslashes": ("backslash", lambda p: raw_zip(p, entry("..\\..\\evil"))),
    "absolute": ("absolute", lambda p: raw_zip(p, entry("/etc/cron.d/evil"))),
    "a share": ("absolute", lambda p: raw_zip(p, entry("//server/share/evil"))),
    "a drive": ("absolute", lambda p: raw_zip(p, entry("c:evil"))),
    "a second name": ("", lambda p: raw_zip(p, entry("ok", extra=unicode_path(b"ok", "../../evil")))),
    "a folder": ("folder", lambda p: raw_zip(p, entry("wheels/", content=b""))),
    "a folder by its attribute": ("folder", lambda p: raw_zip(p, entry("wheels", attributes=0x10))),
    "a symbolic link": ("symbolic link", lambda p: raw_zip(p, entry("a", content=b"/etc", attributes=0o120777 << 16))),
    "a device": ("no ordinary file", lambda p: raw_zip(p, entry("a", attributes=0o020666 << 16))),
    "a fifo": ("no ordinary file", lambda p: raw_zip(p, entry("a", attributes=0o010666 << 16))),
    "names that differ in case": ("where case is ignored", lambda p: raw_zip(p, entry("A/b"), entry("a/B"))),
    "names that differ in form": (
        "where case is ignored", lambda p: raw_zip(p, entry("caf\u00e9"), entry("cafe\u0301"))),
    "the same name twice": ("two entries named", lambda p: raw_zip(p, entry("a"), entry("a"))),
    "encrypted": ("encrypted", lambda p: raw_zip(p, entry("a", flags=0x801))),
    "a bomb": ("zip bomb", lambda p: raw_zip(p, entry("a", content=bytes(200 << 20), deflated=True))),
    "overlapping entries": ("overlap", overlapping),
    "an entry longer than the file": (
        "longer than the package", lambda p: raw_zip(p, entry("a", claimed_packed=10**9))),
    "a size that is a lie": ("damaged", lambda p: raw_zip(p, entry("a", content=b"x" * 5000, claimed_size=5))),
    "a size that is a large lie": ("", lambda p: raw_zip(p, entry("a", deflated=True, claimed_size=2**31))),
    "zip64 that says otherwise": ("zip64", zip64_claiming),
    "entries that are not counted": ("says that it has 1 entries", hidden_entries),
    "entries that are not there": ("says that it has 9 entries", lambda p: raw_zip(p, entry("a"), count=9)),
    "a directory longer than the file": ("damaged", lambda p: raw_zip(p, entry("a"), directory_bytes=10**6)),
    "a forest of folders": ("folders; at most", forest),
    "an end record in the comment": ("", lambda p: raw_zip(p, entry("a"), comment=b"PK\x05\x06" + bytes(18))),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "write"), ARCHIVES.values(), ids=ARCHIVES)
def test_a_hostile_archive_is_refused_within_bounds(tmp_path, read, fault, write):
    told = read(write(tmp_path / "p.difypkg"))
    assert told["reason"] == "InvalidPackage", told
    assert fault in told["message"]
    assert "\x1b" not in told["message"]


def laughs(start: str, step: str) -> str:
    """A billion laughs: each line names the one before nine times."""
    steps = (step.format(n=number, before=", ".join([f"*a{number - 1}"] * 9)) for number in range(1, 12))
    return "\n".join([start, *steps]) + "\n"


BOMB = laughs("x0: &a0 [lol]", "x{n}: &a{n} [{before}]")
MERGES = laughs("x0: &a0 {k: v}", "x{n}: &a{n} {{<<: [{before}], k{n}: v}}")
TEXTS: dict[str, tuple[str, dict[str, str]]] = {
    "a YAML bomb": ("repeats itself", {"manifest.yaml": BOMB + MANIFEST}),
    "a YAML bomb as a value": ("repeats itself", {"manifest.yaml": BOMB + MANIFEST.replace("tester", "*a11")}),
    "a YAML bomb of merges": ("repeats itself", {"manifest.yaml": MERGES + MANIFEST}),
    "a long text again and again": (
        "repeats itself",
        {"manifest.yaml": f"t: &t {'x' * 100_000}\nl: [{'*t, ' * 20_000}]\n{MANIFEST}"},
    ),
    "an alias in itself": ("contains itself", {"manifest.yaml": f"x: &x [*x]\n{MANIFEST}"}),
    "a YAML tag that runs code": (
        "not valid YAML", {"manifest.yaml": f"x: !!python/object/apply:os.system [id]\n{MANIFEST}"}),
    "a YAML number to the base of 60": ("no text", {"manifest.yaml": f"x: 1{':1' * 100_000}\n{MANIFEST}"}),
    "a YAML number of many digits": ("no text", {"manifest.yaml": f"x: {'9' * 100_000}\n{MANIFEST}"}),
    "deep YAML": ("not valid YAML", {"manifest.yaml": f"x: {'[' * 100_000}\n"}),
    "two YAML documents": ("not valid YAML", {"manifest.yaml": f"{MANIFEST}---\n{MANIFEST}"}),
    "a giant manifest": ("larger than 256 KiB", {"manifest.yaml": MANIFEST + "#" * (1 << 20)}),
    "a manifest of many small things": (
        "must be 'plugin'", {"manifest.yaml": f"x: [{'{},' * 80_000}]\ntype: x\nauthor: a\n"}),
    "a manifest of bytes": ("not UTF-8", {"manifest.yaml": "\udcff\udcfe"}),
    "a list where a text belongs": ("a list", {"manifest.yaml": MANIFEST.replace("tester", "[a, b]")}),
    "a mapping in meta.arch": ("meta.arch", {"manifest.yaml": MANIFEST.replace("[amd64, arm64]", "[{a: b}]")}),
    "many files that are not there": (
        "not in the package",
        {"manifest.yaml": MANIFEST.replace("    - prov", "    - provider/tiny.yaml\n" * 8000 + "    - x\n    - prov")},
    ),
    "TOML that is none": ("not valid TOML", {"pyproject.toml": "[project\n"}),
    "deep TOML": ("not valid TOML", {"pyproject.toml": "x = " + "[" * 100_000}),
    "a TOML number of many digits": ("not valid TOML", {"pyproject.toml": "x = " + "9" * 100_000}),
    "a TOML key of many parts": ("more than 64 parts", {"pyproject.toml": ".".join("a" * 200_000) + " = 1"}),
    "a TOML key of many quoted parts": ("more than 64 parts", {"pyproject.toml": ".".join(['"a"'] * 200_000) + " = 1"}),
    "dependencies that are none": ("no [project]", {"pyproject.toml": "[project]\ndependencies = [1]\n"}),
    "dependencies that smuggle an option": (
        "cannot use", {"pyproject.toml": '[project]\ndependencies = ["a\\n--editable /"]\n'}),
    "a giant lock": ("larger than 8 MiB", {"uv.lock": "#" * (9 << 20), "pyproject.toml": PYPROJECT}),
    "a lock of many packages": (
        "more than 5,000 packages",
        {"uv.lock": "version = 1\n" + '[[package]]\nname = "a"\n' * 100_000, "pyproject.toml": PYPROJECT},
    ),
    "a lock with a deep marker": (
        "cannot be understood",
        {"uv.lock": 'version = 1\n[[package]]\nname = "t"\nsource = { virtual = "." }\ndependencies = '
                    f'[{{ name = "a", marker = "{"(" * 50_000}" }}]\n[[package]]\nname = "a"\n',
         "pyproject.toml": PYPROJECT},
    ),
}  # fmt: skip
"""Files that take the place of those of a small plugin."""


def a_plugin_with(path: Path, files: dict[str, str]) -> Path:
    whole = {**plugin_files(requirements=None), **files}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in whole.items():
            archive.writestr(name, text.encode("utf-8", "surrogateescape"))
    return path


@pytest.mark.parametrize(("fault", "files"), TEXTS.values(), ids=TEXTS)
def test_a_hostile_text_is_refused_within_bounds(tmp_path, read, fault, files):
    told = read(a_plugin_with(tmp_path / "p.difypkg", files))
    assert told["reason"] == "InvalidPackage", told
    assert fault in told["message"]


LINES: dict[str, tuple[str, str]] = {
    "an editable install": ("option that a plugin cannot use", "-e git+https://example.org/x.git\n"),
    "a nested file": ("option that a plugin cannot use", "-r /etc/passwd\n"),
    "a constraint": ("option that a plugin cannot use", "--constraint https://example.org/c.txt\n"),
    "a place for configuration": ("option that a plugin cannot use", "--config-settings x\n"),
    "a file address": ("does not come from an index", "x @ file:///etc/passwd\n"),
    "a local path": ("is no requirement", "./wheels/x.whl\n"),
    "git": ("does not come from an index", "x @ git+ssh://example.org/x.git\n"),
    "a variable of ours in an address": (
        "variable of the environment",
        "x @ https://example.org/${HTTPS_PROXY}/x.whl\n",
    ),
    "a variable in the fragment": ("variable of the environment", "x @ https://example.org/x.whl#${HOME}\n"),
    "a deep marker": ("is no requirement", f"x; {'(' * 3000}\n"),
    "a long specifier": ("longer than", f"x{',!=1' * 5000}\n"),
    "a long line": ("longer than", "x" * 100_000),
    "a giant file": ("larger than 1 MiB", "x\n" * (2 << 20)),
}


@pytest.mark.parametrize(("fault", "text"), LINES.values(), ids=LINES)
def test_a_hostile_requirement_is_refused_within_bounds(tmp_path, read, fault, text):
    told = read(a_plugin_with(tmp_path / "p.difypkg", {"requirements.txt": text}))
    assert told["reason"] == "InvalidPackage", told
    assert fault in told["message"]


def test_the_largest_innocent_package_fits_into_the_same_bounds(tmp_path, read):
    """The bounds above prove nothing if everything is refused: 10,000 files and a lock of 4 MB are read."""
    lock = 'version = 1\n[[package]]\nname = "t"\nsource = { virtual = "." }\n' + "# padding\n" * 400_000
    files = {f"data/{number % 100}/{number}.txt": "x" for number in range(10_000)}
    told = read(a_plugin_with(tmp_path / "p.difypkg", {**files, "uv.lock": lock, "pyproject.toml": PYPROJECT}))
    assert told == {"reason": None, "message": ""}


NAMES = st.lists(
    st.one_of(st.text(max_size=12), st.sampled_from(["..", ".", "a", "A", "", "/", "\\", "C:", "wheels", "\0"])),
    min_size=1, max_size=4,
).map("/".join)  # fmt: skip


@given(st.lists(st.tuples(NAMES, st.binary(max_size=40)), min_size=1, max_size=6))
def test_whatever_names_a_package_has_it_lands_inside_or_is_refused(tmp_path_factory, entries):
    folder = tmp_path_factory.mktemp("names")
    raw = [RawEntry(name.encode("utf-8", "surrogatepass"), content=content) for name, content in entries]
    try:
        unpacked = unpack(raw_zip(folder / "p", *raw), folder / "in" / "to", limits=Limits(entries=50))
    except RepackError:
        unpacked = None
    assert {path.name for path in folder.iterdir()} <= {"p", "in"}
    assert {path.name for path in (folder / "in").glob("*")} <= {"to"}
    if unpacked:
        assert [(unpacked.folder / name).read_bytes() for name in unpacked.names] == [content for _, content in entries]
    shutil.rmtree(folder)


@given(
    st.lists(st.tuples(st.sampled_from(["x", "y"]), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1),
                       st.integers(0, 2**32 - 1)), min_size=1, max_size=4),
    st.integers(0, 0xFFFF), st.binary(max_size=30),
)  # fmt: skip
def test_whatever_headers_claim_the_reader_refuses_or_reads_what_is_there(tmp_path_factory, claims, count, noise):
    folder = tmp_path_factory.mktemp("claims")
    raw = [
        RawEntry(name.encode(), claimed_size=size, claimed_packed=packed, offset=offset, local_extra=noise)
        for name, size, packed, offset in claims
    ]
    with contextlib.suppress(RepackError):  # anything else fails the test
        unpack(raw_zip(folder / "p", *raw, count=count, comment=noise), folder / "to", limits=Limits(entries=50))
    shutil.rmtree(folder)


@given(st.text(max_size=200))
def test_no_text_makes_the_readers_of_texts_fail_in_another_way(text):
    for read_text in (read_yaml, read_toml):
        try:
            read_text(text, name="x")
        except RepackError as error:
            assert error.message.startswith("x ")  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ({"url": "https://e.org/x-1.0-py3-none-any.q%2F..%2F..%2F..%2Fevil.whl"}, "has no wheel"),
        ({"url": "https://e.org/x", "name": "x-1.0-py3-none-any.q/../../../evil.whl"}, "has no wheel"),
        ({"url": "https://e.org/x", "filename": "x-1.0-py3-none-any.q\\..\\evil.whl"}, "has no wheel"),
        ({"url": "https://e.org/x-1.0-py3-none-any.whl", "hash": "sha256:" + "../" * 21 + "a"}, "gives no sha256"),
    ],
)
def test_a_lock_cannot_name_a_place_for_its_wheel(file, says):
    """The name of a wheel and its hash become a path in the cache; parse_wheel_filename alone lets these pass."""
    platform = Platform(arch=Arch.AMD64, python="3.12")
    with pytest.raises(RepackError, match=says):
        choose("x", "1.0", files=[{"hash": "sha256:" + "0" * 64, **file}], sdist=None, platform=platform)


@pytest.mark.parametrize("name", ["x\n--index-url https://evil.test", "../x", "", "-x", "x y"])
@pytest.mark.parametrize("version", ["1.0", "1 --hash=sha256:0", "1\n-e ."])
def test_a_lock_cannot_write_lines_of_our_requirements(name, version):
    platform, wheel = Platform(arch=Arch.AMD64, python="3.12"), {"url": "https://e.org/x-1.0-py3-none-any.whl"}
    with pytest.raises(RepackError, match="The lock names a distribution"):
        choose(name, version, files=[{"hash": "sha256:" + "0" * 64, **wheel}], sdist=None, platform=platform)


@pytest.mark.parametrize("commit", ["--upload-pack=evil", "main", "a" * 39, "a" * 40 + " -x", "../../x"])
def test_a_lock_cannot_write_words_of_a_git_command(commit):
    with pytest.raises(RepackError, match="only https with a commit"):
        git_source("x", "1.0", f"https://e.org/x#{commit}")


@pytest.mark.parametrize("path", ["..%2F..%2Fevil.tar.gz", "%2Fetc%2Fpasswd", "", "%00", "....%2F%2F"])
def test_a_lock_cannot_name_a_place_for_its_source(path):
    sdist = {"url": f"https://e.org/{path}", "hash": "sha256:" + "0" * 64}
    source = choose("x", "1.0", files=[], sdist=sdist, platform=Platform(arch=Arch.AMD64, python="3.12"))
    assert "/" not in source.filename
    assert source.filename not in {"", ".", ".."}
    assert "\0" not in source.filename


def test_an_ordinary_manifest_with_anchors_is_read():
    text = "a: &a {x: 1, y: [1, 2]}\nb: *a\nc: {<<: *a, z: 2}\n"
    assert read_yaml(text, name="x") == {"a": {"x": 1, "y": [1, 2]}, "b": {"x": 1, "y": [1, 2]},
                                         "c": {"x": 1, "y": [1, 2], "z": 2}}  # fmt: skip


def test_this_machine_can_bound_memory_at_all():
    script = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29)); bytearray(1 << 30)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)


def test_a_package_of_our_builders_is_innocent(tmp_path, read):
    assert read(a_package(tmp_path / "p.difypkg"))["reason"] is None
