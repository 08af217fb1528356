"""Rewriting the plugin: what is dropped, what is changed by a hair, what stays byte for byte."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fakes.index import a_wheel
from fakes.plugins import MANIFEST, a_package, plugin_files
from repack_contract.choices import Arch
from repack_contract.errors import RepackError
from repack_worker.archive import Limits, unpack
from repack_worker.plan import Plan, Wheel
from repack_worker.platforms import Platform
from repack_worker.plugin import read_plugin
from repack_worker.requirement_lines import read_requirements
from repack_worker.rewrite import narrowed, package_name, requirements_text, rewritten, without_wheels_rule
from repack_worker.wheels import moved

AMD64 = Platform(arch=Arch.AMD64, python="3.12")
SDK = Wheel(
    name="dify-plugin", version="0.5.0", filename="dify_plugin-0.5.0-py3-none-any.whl",
    url="http://files.test/packages/aa/dify_plugin-0.5.0-py3-none-any.whl", sha256="a" * 64, size_bytes=1,
)  # fmt: skip


def test_requirements_are_pinned_and_hashed_and_name_no_index():
    text = requirements_text([Plan(platform=AMD64, origin="uv.lock", wheels=(SDK,))])
    assert text == f"--no-index\n--find-links ./wheels\ndify-plugin==0.5.0 --hash=sha256:{'a' * 64}\n"


def test_what_would_lead_another_daemon_astray_is_dropped_and_the_rest_stays(tmp_path):
    files = plugin_files(uv__toml="x", README__md="Read me\r\n", pyproject__toml="x", uv__lock="x")
    files |= {".python-version": "3.11", ".verification.dify.json": "{}", "wheels/old.whl": "old",
              ".difyignore": "wheels/\n.env\n"}  # fmt: skip
    plugin = read_plugin(unpack(a_package(tmp_path / "p.difypkg", files), tmp_path / "into", limits=Limits()))
    wheel = tmp_path / "w.whl"
    wheel.write_bytes(a_wheel("dify-plugin").content)
    members = {
        member.name: member for member in rewritten(plugin, Arch.AMD64, [Plan(AMD64, "uv.lock", (SDK,))], {SDK: wheel})
    }
    assert set(members) == {
        "manifest.yaml", "provider/tiny.yaml", "main.py", "README.md", ".difyignore", "requirements.txt",
        "wheels/dify_plugin-0.5.0-py3-none-any.whl",
    }  # fmt: skip
    assert members[".difyignore"].content == b".env\n"
    assert members["README.md"].content == tmp_path / "into" / "README.md"
    assert members["wheels/dify_plugin-0.5.0-py3-none-any.whl"].stored
    assert package_name(plugin, arch=Arch.AMD64, suffix="x") == "tester-tiny_0.0.1-linux-amd64-x.difypkg"


@pytest.mark.parametrize("rule", [b"wheels", b"wheels/", b"/wheels/", b"wheels/*", b"*.whl", b"  wheels/  "])
def test_an_ignore_rule_that_hides_wheels_is_dropped(rule):
    assert without_wheels_rule(b"# mine\n" + rule + b"\n*.pyc\n") == b"# mine\n*.pyc\n"


BLOCK = MANIFEST.replace("arch: [amd64, arm64]", "arch:\n    - amd64  # first\n    - arm64\n")


@pytest.mark.parametrize("manifest", [MANIFEST, BLOCK, BLOCK.replace("    - a", "  - a")])
def test_the_manifest_is_narrowed_to_the_target_and_keeps_its_author_s_writing(manifest):
    changed = narrowed(manifest, Arch.AMD64)
    assert yaml.safe_load(changed)["meta"]["arch"] == ["amd64"]
    expected = yaml.safe_load(manifest)
    expected["meta"]["arch"] = ["amd64"]
    assert yaml.safe_load(changed) == expected
    assert changed.startswith("version: 0.0.1\ntype: plugin\nauthor: tester\n")
    assert narrowed(changed, Arch.AMD64) == changed


@pytest.mark.parametrize("manifest", [MANIFEST, BLOCK.replace("    - arm64\n", "")])
def test_a_manifest_of_a_universal_package_names_both_cpus(manifest):
    assert yaml.safe_load(narrowed(manifest, Arch.UNIVERSAL))["meta"]["arch"] == ["amd64", "arm64"]


def a_plan(arch: Arch, *wheels: Wheel) -> Plan:
    return Plan(platform=Platform(arch=arch, python="3.12"), origin="uv.lock", wheels=wheels)


def test_a_universal_package_has_both_hashes_in_a_line_and_a_marker_only_where_the_cpus_differ():
    compiled = [replace(SDK, name="fast", filename=f"fast-{machine}.whl", sha256=letter * 64)
                for machine, letter in (("x86_64", "b"), ("aarch64", "c"))]  # fmt: skip
    only, older = replace(SDK, name="only", sha256="d" * 64), replace(SDK, name="split", version="1", sha256="e" * 64)
    newer = replace(SDK, name="split", version="2", sha256="f" * 64)
    plans = [a_plan(Arch.AMD64, SDK, compiled[0], only, older), a_plan(Arch.ARM64, SDK, compiled[1], newer)]
    assert requirements_text(plans).splitlines()[2:] == [
        f"dify-plugin==0.5.0 --hash=sha256:{'a' * 64}",
        f"fast==0.5.0 --hash=sha256:{'b' * 64} --hash=sha256:{'c' * 64}",
        f"only==0.5.0 ; platform_machine == 'x86_64' --hash=sha256:{'d' * 64}",
        f"split==1 ; platform_machine == 'x86_64' --hash=sha256:{'e' * 64}",
        f"split==2 ; platform_machine == 'aarch64' --hash=sha256:{'f' * 64}",
    ]


def test_a_manifest_without_arch_stays_as_it_is():
    manifest = MANIFEST.replace("  arch: [amd64, arm64]\n", "")
    assert narrowed(manifest, Arch.AMD64) == manifest


def test_requirement_lines_lose_their_index_and_keep_their_hashes():
    text = (
        "--index-url https://user:pass@mirror.test/simple\n# note\nA==1 \\\n  --hash=sha256:ff  # why\n"
        "b[x]>=2; python_version>'3'\n"
    )
    read = read_requirements(text)
    assert read.lines == ("A==1 --hash=sha256:ff", "b[x]>=2; python_version>'3'")
    assert len(read.dropped) == 1


@pytest.mark.parametrize(
    "line",
    ["-e .", "-r other.txt", "-c limits.txt", "./local.whl", "x @ file:///etc/passwd", "x @ git+ssh://git.test/x",
     "not a requirement", "--config-settings a=b"],
)  # fmt: skip
def test_a_line_that_is_no_plain_requirement_is_refused_by_name(line):
    with pytest.raises(RepackError) as caught:
        read_requirements(f"fine==1\n{line}\n")
    assert line in caught.value.message


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        read_requirements(text)
    except RepackError as error:
        assert error.message.startswith("requirements.txt:")  # noqa: PT017 - most texts are no error at all


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("https://mirror.test/pypi/simple", "https://mirror.test/pypi/packages/aa/x.whl"),
        ("https://mirror.test/pypi/simple/", "https://mirror.test/pypi/packages/aa/x.whl"),
        ("https://mirror.test", "https://mirror.test/packages/aa/x.whl"),
    ],
)
def test_an_address_in_a_lock_moves_to_the_mirror_by_its_path(index, expected):
    assert moved("https://files.test/packages/aa/x.whl", index) == expected


def test_an_address_without_the_usual_path_stays():
    assert moved("https://files.test/other/x.whl", "https://mirror.test/simple") == "https://files.test/other/x.whl"
