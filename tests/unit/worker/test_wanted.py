"""Plugins without a lock: what their pyproject.toml asks for, and what of it is left out."""

import io
import tarfile

import pytest

from fakes.plugins import a_package, plugin_files
from repack_contract.errors import RepackError
from repack_worker import stubs
from repack_worker.archive import Limits, unpack
from repack_worker.plugin import read_plugin
from repack_worker.stubs import requires_of
from repack_worker.wanted import from_pyproject

PROJECT = '[project]\nname = "x"\nversion = "1"\ndependencies = ["a>=1", "b[x]", "c; python_version > \'3\'"]\n'


def wanted(tmp_path, more, project=PROJECT):
    files = plugin_files(requirements=None, pyproject__toml=project + more)
    plugin = read_plugin(unpack(a_package(tmp_path / "p.difypkg", files), tmp_path / "into", limits=Limits()))
    return from_pyproject(plugin)


def test_groups_extras_and_the_build_system_do_not_count(tmp_path):
    read = wanted(tmp_path, '[project.optional-dependencies]\nmore = ["z"]\n[dependency-groups]\ndev = ["pytest"]\n'
                            '[build-system]\nrequires = ["hatchling"]\n')  # fmt: skip
    assert read.lines == ("a>=1", "b[x]", "c; python_version > '3'")


def test_sources_constraints_overrides_and_dates_of_tool_uv_are_obeyed(tmp_path):
    read = wanted(
        tmp_path,
        """
[tool.uv]
constraint-dependencies = ["d<2"]
override-dependencies = ["e==3"]
exclude-newer = "2026-01-01T00:00:00Z"
prerelease = "allow"
[tool.uv.sources]
a = { git = "https://git.test/a", tag = "v1", subdirectory = "py" }
b = { url = "https://files.test/b.whl" }
""",
    )
    assert read.lines[0] == "a @ git+https://git.test/a@v1#subdirectory=py"
    assert read.lines[1] == "b[x] @ https://files.test/b.whl"
    assert (read.constraints, read.overrides) == (("d<2",), ("e==3",))
    assert (read.exclude_newer, read.prerelease) == ("2026-01-01T00:00:00Z", "allow")


def test_an_index_that_the_author_names_is_left_out_with_a_warning(tmp_path):
    read = wanted(tmp_path, '[[tool.uv.index]]\nname = "mine"\nurl = "https://mine.test"\n'
                            '[tool.uv.sources]\na = { index = "mine" }\n')  # fmt: skip
    assert read.lines[0] == "a>=1"
    assert len(read.warnings) == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[tool.uv.sources]\na = { path = "../a" }\n', "its author's machine"),
        ("[tool.uv.sources]\na = { workspace = true }\n", "its author's machine"),
        ('[tool.uv.sources]\na = { git = "ssh://git.test/a" }\n', "pyproject.toml: "),
        ("[tool]\nuv = 3\n", "no [project]"),
    ],
)
def test_what_cannot_be_fetched_from_anywhere_is_refused_by_name(tmp_path, more, words):
    with pytest.raises(RepackError) as caught:
        wanted(tmp_path, more)
    assert words in caught.value.message


def test_dependencies_that_only_a_build_tells_are_refused(tmp_path):
    with pytest.raises(RepackError, match="dynamic"):
        wanted(tmp_path, "", '[project]\nname = "x"\ndynamic = ["dependencies"]\n')


def test_a_source_archive_that_unpacks_without_end_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(stubs, "_MAX_UNPACKED", 1 << 20)
    with tarfile.open(tmp_path / "x-1.tar.gz", "w:gz") as archive:
        for number in range(3):
            entry = tarfile.TarInfo(f"x-1/{number}")
            entry.size = 600_000
            archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    with pytest.raises(RepackError, match="it unpacks to more than 1,048,576 bytes"):
        requires_of(tmp_path / "x-1.tar.gz")


def test_the_older_form_of_stated_requirements_is_read_too(tmp_path):

    (tmp_path / "x.egg-info").mkdir()
    text = "a>=1\n\n[:python_version < '3']\nb\n\n[fast]\nc\n\n[fast:os_name == 'nt']\nd\n"
    (tmp_path / "x.egg-info" / "requires.txt").write_text(text)
    with tarfile.open(tmp_path / "x-1.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "x.egg-info" / "requires.txt", "x-1/x.egg-info/requires.txt")
    assert requires_of(tmp_path / "x-1.tar.gz") == (
        "a>=1", "b ; (python_version < '3')", "c ; extra == 'fast'", "d ; (os_name == 'nt') and extra == 'fast'",
    )  # fmt: skip
