"""What lies beside a package: a bill of materials that the standard's own schema accepts, and a report."""

import importlib.metadata
import json
import subprocess
from pathlib import Path

import uv
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from fakes.index import a_wheel
from fakes.plugins import a_package, plugin_files
from repack_worker.licences import Licence, licence_stated_by
from repack_worker.our_uv import our_uv_version


def beside(result, kind):
    return Path(f"{result.artifacts[0].uri}.{kind}").read_text()


async def test_the_bill_of_materials_is_valid_cyclonedx_and_names_every_wheel(tmp_path, index, pack):
    index.add(a_wheel("tiny-sdk", requires=("spdx", "classified", "texted", "local")))
    index.add(a_wheel("spdx", metadata=("License-Expression: MIT OR Apache-2.0",)))
    index.add(a_wheel("classified", metadata=("Classifier: License :: OSI Approved :: BSD License",)))
    index.add(a_wheel("texted", metadata=("License: Permission is hereby granted " + "x" * 200,)))
    index.add(a_wheel("local", "1.0+local"))
    result = await pack(a_package(tmp_path / "tiny.difypkg"))
    assert result.ok, result.message
    text = beside(result, "sbom.cdx.json")
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert fault is None, fault
    document = json.loads(text)
    components = {component["name"]: component for component in document["components"]}
    assert sorted(components) == ["classified", "local", "spdx", "texted", "tiny-sdk"]
    assert components["spdx"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert components["classified"]["licenses"] == [{"license": {"name": "BSD License"}}]
    assert "licenses" not in components["texted"]
    assert components["local"]["purl"] == "pkg:pypi/local@1.0%2Blocal"
    assert document["metadata"]["component"]["name"] == "tiny"
    report = json.loads(beside(result, "report.json"))
    assert report["licenses"]["MIT OR Apache-2.0"] == ["spdx"]
    assert report["licenses"]["unknown"] == ["local", "texted", "tiny-sdk"]


async def test_the_report_tells_index_tools_warnings_and_every_installation_without_a_secret(tmp_path, index, pack):
    index.add(a_wheel("tiny-sdk"))
    requirements = "--extra-index-url https://user:hush@mirror.test/simple\ntiny-sdk\n"
    files = plugin_files(requirements=requirements) | {".python-version": "3.9\n"}
    result = await pack(a_package(tmp_path / "tiny.difypkg", files))
    assert result.ok, result.message
    text = beside(result, "report.json")
    report = json.loads(text)
    assert "hush" not in text
    assert report["indexes"] == [index.url]
    assert set(report["tools"]) == {"dify-repack", "uv"}
    assert any(".python-version asks for '3.9'" in warning for warning in report["warnings"])
    assert [run["daemon"] for run in report["installations"]] == ["0.6.10", "0.6.10 +mirror"]
    assert report["installations"][0]["command"] == "uv pip install -r requirements.txt -vvv"
    assert report["verification"]["passed"] is True


def test_a_wheel_that_is_none_has_no_licence(tmp_path):
    (tmp_path / "x.whl").write_bytes(b"no zip")
    assert licence_stated_by(tmp_path / "x.whl") == Licence()


def test_the_uv_that_a_report_names_is_the_one_that_is_installed():
    assert our_uv_version() == importlib.metadata.version("uv")
    told = subprocess.run([uv.find_uv_bin(), "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.split()[1] == our_uv_version()
