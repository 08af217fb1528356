"""The start of a command takes as long as its imports: what it does not need it does not import."""

import subprocess
import sys

from fakes.index import FakeIndex, a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files

OF_OTHERS = {"aiohttp", "celpy", "fastapi", "jsonschema", "kopf", "kubernetes", "redis", "uvicorn", "websockets"}
OF_MODELS = {"pydantic", "pydantic_core", "pydantic_settings"}
OF_TERMINALS = {"click", "pygments", "rich", "shtab"}
OF_HTTPX = {"anyio", "certifi", "h11", "httpcore", "httpx"}
OF_NETWORKS = OF_HTTPX | {"repack_worker.connecting", "repack_worker.exchange", "repack_worker.wire"}
OF_LATER_STAGES = {
    "cryptography", "elftools", "tarfile", "repack_worker.build", "repack_worker.building", "importlib.metadata",
    "repack_worker.dashboard_store", "repack_worker.ingest", "repack_worker.proving", "repack_worker.resolve",
    "repack_worker.shared_cache", "repack_worker.verify",
}  # fmt: skip
_SCRIPT = """
import sys
from repack_local.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print("imported", code, *sys.modules)
"""


def imported_by(*words: object) -> tuple[int, set[str]]:
    """Run the command in a process of its own; return its exit code and the modules that it has imported."""
    argv = [sys.executable, "-c", _SCRIPT, *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    _, code, *modules = done.stdout.splitlines()[-1].split()
    return int(code), set(modules)


def test_help_imports_the_parser_and_nothing_else():
    code, modules = imported_by("pack", "--help")
    unwanted = OF_OTHERS | OF_MODELS | OF_TERMINALS | OF_NETWORKS | OF_LATER_STAGES | {"asyncio", "yaml", "packaging"}
    assert (code, modules & unwanted) == (0, set())


def test_a_pack_has_imported_nothing_of_the_network_or_of_later_stages_when_it_fetches(tmp_path):
    code, modules = imported_by("pack", tmp_path / "missing.difypkg", "-o", tmp_path)
    assert code == 10
    assert "repack_worker.stages" in modules
    assert modules & (OF_OTHERS | OF_MODELS | OF_TERMINALS | OF_NETWORKS | OF_LATER_STAGES) == set()


def test_a_plan_that_is_remembered_imports_nothing_of_the_network(tmp_path, monkeypatch):
    monkeypatch.setenv("REPACK_CACHE_DIR", str(tmp_path / "cache"))
    with FakeIndex() as index:
        index.add(a_wheel("tiny-sdk"))
        words = ("plan", a_package(tmp_path / "x.difypkg"), "--python", "3.12", "--index-url", index.url)
        first, with_uv = imported_by(*words)
        again, modules = imported_by(*words)
    assert (first, again) == (0, 0)
    assert "repack_worker.resolve" in with_uv
    assert modules & (OF_OTHERS | OF_MODELS | OF_TERMINALS | OF_NETWORKS | OF_LATER_STAGES) == set()


def test_a_plan_from_a_lock_imports_nothing_of_the_network(tmp_path):
    with FakeIndex() as index:
        wheel = a_wheel("tiny-sdk")
        plugin = a_package(
            tmp_path / "x.difypkg",
            plugin_files(requirements=None, pyproject__toml=PYPROJECT, uv__lock=a_lock(index, wheel)),
        )
    code, modules = imported_by("plan", plugin)
    assert code == 0
    assert modules & (OF_OTHERS | OF_MODELS | OF_TERMINALS | OF_NETWORKS | OF_LATER_STAGES) == set()
