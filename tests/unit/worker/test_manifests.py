"""The manifest: each field that breaks a rule is named."""

import pytest

from fakes.plugins import MANIFEST, a_package, plugin_files
from repack_contract import task as models
from repack_contract.choices import Arch
from repack_contract.edges import as_model
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.archive import Limits, unpack
from repack_worker.plugin import Plugin, read_plugin


def plugin_with(tmp_path, manifest: str) -> Plugin:
    package = a_package(tmp_path / "p.difypkg", plugin_files(manifest=manifest))
    return read_plugin(unpack(package, tmp_path / "into", limits=Limits()))


def test_a_valid_manifest_is_read(tmp_path):
    plugin = plugin_with(tmp_path, MANIFEST)
    assert (plugin.author, plugin.name, plugin.version, plugin.display_name) == ("tester", "tiny", "0.0.1", "Tiny")
    assert plugin.identity == f"tester/tiny:0.0.1@{plugin.checksum}"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r'"Half \ud83d of one"', "Half ? of one"),
        (r'"\x1b]0;title\x07 Rain"', "\N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER} Rain"),
        ("x" * 300, "x" * 255 + "…"),
    ],
)
def test_a_label_that_no_message_can_hold_is_shown_as_far_as_it_can(tmp_path, written, shown):
    plugin = plugin_with(tmp_path, MANIFEST.replace("en_US: Tiny", f"en_US: {written}"))
    assert plugin.display_name == shown
    assert as_model(plugin.info, models.PluginInfo).model_dump_json()


@pytest.mark.parametrize(
    ("old", "new", "culprit"),
    [
        ("author: tester\n", "", "author is missing"),
        ("author: tester", "author: Tester Man", "author is 'Tester Man'"),
        ("author: tester", "author: 7f3c1a52-0c58-4f0e-9a50-0a5f6cf1a111", "author is a UUID"),
        ("name: tiny", "name: '../tiny'", "name is '../tiny'"),
        ("version: 0.0.1\ntype", "version: 1\ntype", "version is '1'"),
        ("version: 0.0.1\ntype", "version: '1.0'\ntype", "version is '1.0'"),
        ("type: plugin", "type: bundle", "type must be 'plugin'"),
        ("meta:", "metta:", "meta is missing"),
        ("arch: [amd64, arm64]", "arch: [riscv]", "meta.arch"),
        ("language: python", "language: ruby", "meta.runner.language"),
        ("provider/tiny.yaml", "provider/absent.yaml", "'provider/absent.yaml', which is not in the package"),
        ("  tools:\n    - provider/tiny.yaml", "  tools: []", "plugins names none of"),
        ("type: plugin", "type: [", "not valid YAML"),
        ("type: plugin", "type: !!python/object:os.system x", "not valid YAML"),
        (MANIFEST, "- a list", "must be a mapping"),
    ],
)
def test_a_field_that_breaks_a_rule_is_named(tmp_path, old, new, culprit):
    assert old in MANIFEST
    with pytest.raises(RepackError) as caught:
        plugin_with(tmp_path, MANIFEST.replace(old, new, 1))
    assert caught.value.reason is Reason.INVALID_PACKAGE
    assert culprit in caught.value.message


def test_a_package_without_a_manifest_says_where_one_is(tmp_path):
    package = a_package(tmp_path / "p.difypkg", {"inner/manifest.yaml": MANIFEST})
    with pytest.raises(RepackError, match=r"no manifest\.yaml at its root") as caught:
        read_plugin(unpack(package, tmp_path / "into", limits=Limits()))
    assert "'inner'" in caught.value.hint


def test_a_target_that_the_manifest_excludes_is_refused(tmp_path):
    plugin = plugin_with(tmp_path, MANIFEST.replace("[amd64, arm64]", "[arm64]"))
    with pytest.raises(RepackError, match="not made for linux/amd64: its manifest names arm64") as caught:
        plugin.check_target(Arch.AMD64)
    assert caught.value.reason is Reason.UNSUPPORTED_PLATFORM
