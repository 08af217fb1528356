"""Generated files are committed; a stale one fails here. `make generate` writes them."""

import importlib.metadata
import importlib.util
import subprocess
from pathlib import Path

import yaml

from repack_contract import VERSION
from requirements import require

ROOT = Path(__file__).resolve().parents[2]


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "scripts" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_generated_file_of_the_python_side_is_stale():
    stale = [str(path.relative_to(ROOT)) for path in generator().stale_files()]
    assert stale == [], "run `make generate`"


def test_the_types_of_the_page_are_those_of_the_openapi_document(tmp_path: Path):
    web = ROOT / "dashboard" / "web"
    tool = web / "node_modules" / ".bin" / "openapi-typescript"
    require(tool.exists(), "the page's tools are missing; run `make setup`")
    fresh = tmp_path / "schema.gen.ts"
    subprocess.run([str(tool), "src/api/openapi.json", "-o", str(fresh)], cwd=web, check=True, capture_output=True)
    assert (web / "src/api/schema.gen.ts").read_text().splitlines()[-50:] == fresh.read_text().splitlines()[-50:]
    assert fresh.read_text() in (web / "src/api/schema.gen.ts").read_text()


def test_the_crd_file_is_yaml_that_says_what_the_models_say():
    from repack_contract.schema import crd  # noqa: PLC0415 - beside its only use

    assert yaml.safe_load((ROOT / "crds/repackagetasks.yaml").read_text(encoding="utf-8")) == crd()


def test_package_chart_and_images_have_one_version():
    chart = yaml.safe_load((ROOT / "charts/dify-repack/Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)
    assert f"ARG VERSION={VERSION}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert importlib.metadata.version("dify-repack") == VERSION
