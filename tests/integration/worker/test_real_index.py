"""The example plugin with the public Python index, on the Python that Dify's daemon runs."""

import asyncio
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import uv
from packaging.requirements import Requirement

from fakes.index import FakeIndex, a_wheel
from repack_contract.choices import Arch, SourceType
from repack_contract.errors import RepackError
from repack_contract.phases import Stage
from repack_contract.values import PackageIndex, Source, Spec, Target, UrlSource
from repack_local.plugin_folder import pack_folder
from repack_worker.archive import Limits
from repack_worker.attempt import Attempt
from repack_worker.interpreters import Interpreter, find_interpreter
from repack_worker.isolation import choose_isolation
from repack_worker.lock import plan_from_lock
from repack_worker.platforms import Platform
from repack_worker.processes import run
from repack_worker.report import Journal
from repack_worker.settings import Settings, load_settings
from repack_worker.sources import FileSource
from repack_worker.store import FolderStore
from repack_worker.verify import Bench, verify
from requirements import require, require_command

pytestmark = [pytest.mark.network, pytest.mark.timeout(180)]
EXAMPLE = Path(__file__).parents[3] / "examples" / "plugins" / "text_stats"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("worker")
    return load_settings().but(work_dir=folder, cache_dir=folder / "cache")


@pytest.fixture(scope="module")
def python(settings: Settings) -> Interpreter:
    try:
        return asyncio.run(find_interpreter("3.12", settings=settings))
    except RepackError as error:
        require(None, f"{error.message} {error.hint}")
        raise


@pytest.fixture(scope="module")
def plugin(python: Interpreter, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as its author would publish it, freshly locked."""
    folder = tmp_path_factory.mktemp("example")
    source = shutil.copytree(EXAMPLE, folder / "text_stats", ignore=shutil.ignore_patterns("uv.lock", ".venv"))
    try:
        return asyncio.run(pack_folder(source, folder / "text_stats.difypkg", settings=settings))
    except RepackError as error:
        require(None, f"the public Python index must be reachable, or REPACK_INDEX_URL name a mirror: {error.message}")
        raise


async def packed(package: Path, out: Path, settings: Settings, **more: Any) -> Path:
    spec = Spec(
        source=Source(type=SourceType.URL, url=UrlSource(url="http://files.test/x.difypkg")),
        targets=[Target(arch=Arch.AMD64)],
        **more,
    )
    folder = out / "attempt"
    folder.mkdir(parents=True)
    journal, store = Journal(attempt=1, reporters=[]), FolderStore(out)
    result = await Attempt(spec, settings, FileSource(package), store, journal, folder).run()
    assert result.ok, result.message
    return Path(result.artifacts[0].uri or "")


async def test_the_plan_of_the_example_is_what_uv_export_gives(plugin, python, tmp_path, settings):
    with zipfile.ZipFile(plugin) as archive:
        archive.extractall(tmp_path)
    plan = plan_from_lock((tmp_path / "uv.lock").read_text(), platform=Platform(arch=Arch.AMD64, python="3.12"))
    command = [uv.find_uv_bin(), "export", "--frozen", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate",
               "--no-config", "--python", str(python.executable)]  # fmt: skip
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    text = (await run(command, env=env, cwd=tmp_path, timeout_seconds=60)).output.replace("\\\n", " ")
    expected = {}
    for line in text.splitlines():
        specifier, _, hashes = line.partition(" --hash=")
        requirement = Requirement(specifier)
        if requirement.marker is None or requirement.marker.evaluate(dict(plan.platform.environment)):
            expected[f"{requirement.name}{requirement.specifier}"] = hashes
    assert {wheel.pin for wheel in plan.wheels} == set(expected)
    assert all(wheel.sha256 in expected[wheel.pin] for wheel in plan.wheels)
    assert len(plan.wheels) > 30


async def test_the_example_becomes_a_package_that_installs_without_a_network(plugin, python, tmp_path, settings):
    package = await packed(plugin, tmp_path / "out", settings)
    report = json.loads(package.with_name(f"{package.name}.report.json").read_text())
    assert report["verification"]["method"] in {"NetworkNamespace", "SeccompFilter"}
    assert report["plannedFrom"] == "uv.lock"
    assert set(report["seconds"]) == {stage.value for stage in Stage} - {"Build", "Publish"}
    with zipfile.ZipFile(package) as archive:
        names = archive.namelist()
        assert "dify-plugin==" in archive.read("requirements.txt").decode()
    assert not {"pyproject.toml", "uv.lock"} & set(names)
    assert not [name for name in names if name.endswith("/")]


async def test_the_original_package_does_not_install_without_a_network(plugin, python, tmp_path):
    """What makes a repackaging worth its while, and the proof that the verification can fail."""
    bench = Bench(python, await choose_isolation(), timeout_seconds=120, say=lambda _line: None)
    with pytest.raises(RepackError, match="does not install without a network"):
        await verify(plugin, bench=bench, folder=tmp_path, limits=Limits())


async def test_a_plugin_without_a_lock_is_resolved_from_the_public_index(plugin, python, tmp_path, settings):
    with zipfile.ZipFile(plugin) as archive, zipfile.ZipFile(tmp_path / "nolock.difypkg", "w") as unlocked:
        for name in archive.namelist():
            if name not in {"uv.lock", "pyproject.toml"}:
                unlocked.writestr(name, archive.read(name))
        unlocked.writestr("requirements.txt", "dify_plugin>=0.5,<1\n")
    package = await packed(tmp_path / "nolock.difypkg", tmp_path / "out", settings)
    assert package.stat().st_size > 5_000_000


async def test_an_index_of_ones_own_beside_the_public_one(plugin, python, tmp_path, settings):
    with zipfile.ZipFile(plugin) as archive, zipfile.ZipFile(tmp_path / "both.difypkg", "w") as both:
        for name in archive.namelist():
            if name not in {"uv.lock", "pyproject.toml"}:
                both.writestr(name, archive.read(name))
        both.writestr("requirements.txt", "six==1.17.0\nnobody-else-has-it\n")
    with FakeIndex() as own:
        own.add(a_wheel("nobody-else-has-it"))
        package = await packed(
            tmp_path / "both.difypkg", tmp_path / "out",
            settings.but(allow_private_addresses=True),
            package_index=PackageIndex(extra_urls=[own.url]),
        )  # fmt: skip
    with zipfile.ZipFile(package) as archive:
        assert sum(name.endswith(".whl") for name in archive.namelist()) == 2


async def test_sources_of_the_public_index_are_built_without_a_lock(plugin, python, tmp_path, settings):
    """Two that have no wheels at all: one pure, one with a compiled part."""
    require_command("cc", install="apt-get install gcc libc6-dev")
    with zipfile.ZipFile(plugin) as archive, zipfile.ZipFile(tmp_path / "sources.difypkg", "w") as sources:
        for name in archive.namelist():
            if name not in {"uv.lock", "pyproject.toml"}:
                sources.writestr(name, archive.read(name))
        sources.writestr("requirements.txt", "wikipedia==1.4.0\ncrcmod==1.7\n")
    package = await packed(tmp_path / "sources.difypkg", tmp_path / "out", settings)
    report = json.loads(package.with_name(f"{package.name}.report.json").read_text())
    built = {wheel["name"]: wheel["filename"] for wheel in report["wheels"] if "builtFrom" in wheel}
    assert built == {
        "crcmod": "crcmod-1.7-cp312-cp312-linux_x86_64.whl",
        "wikipedia": "wikipedia-1.4.0-py3-none-any.whl",
    }
