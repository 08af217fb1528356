"""The ways in which plugins name their dependencies, each as a small plugin: for the matrix, whole and in the tests.

All depend on a small `dify-plugin` of the tests' own index, on a leaf, and some on what must be built.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from fakes.index import FakeIndex, a_wheel
from fakes.plugins import a_lock, a_package, plugin_files
from fakes.sources import an_sdist, source_files, write_files

LEAF = a_wheel("tiny-leaf", "2.0")
COMPILED = tuple(a_wheel("tiny-fast", tag=f"cp311-abi3-manylinux_2_28_{cpu}") for cpu in ("x86_64", "aarch64"))
SDK = a_wheel("dify-plugin", "0.5.0", requires=("tiny-leaf>=1", "tiny-fast"))
SOURCE = an_sdist("tiny-source", "1.1", requires=("tiny-leaf",))
_PROJECT = (
    '[project]\nname = "tiny"\nversion = "0.0.1"\nrequires-python = ">=3.11"\ndependencies = ["dify-plugin"{more}]\n'
)
_GROUPS = '[dependency-groups]\ndev = ["pytest>=8"]\n'
_BUILD = '[build-system]\nrequires = ["uv_build>=0.9"]\nbuild-backend = "uv_build"\n'
_WHEELS = (SDK, LEAF, *COMPILED)
_NAMES = ("dify-plugin", "tiny-leaf", "tiny-fast")


def lock_style(index: FakeIndex, folder: Path) -> dict[str, str]:
    """`pyproject.toml` with `uv.lock` and a development group: what nearly all official plugins are."""
    del folder
    return {"pyproject.toml": _PROJECT.format(more="") + _GROUPS, "uv.lock": a_lock(index, *_WHEELS, needs=_NAMES)}


def requirements_style(index: FakeIndex, folder: Path) -> dict[str, str]:
    """`requirements.txt` alone, with open versions."""
    del index, folder
    return {"requirements.txt": "dify_plugin~=0.5.0\n"}


def build_system_style(index: FakeIndex, folder: Path) -> dict[str, str]:
    """A `[build-system]` that would have to be fetched."""
    files = lock_style(index, folder)
    lock = files["uv.lock"].replace('{ virtual = "." }', '{ editable = "." }')
    return {"pyproject.toml": files["pyproject.toml"] + _BUILD, "uv.lock": lock}


def source_style(index: FakeIndex, folder: Path) -> dict[str, str]:
    """A dependency that exists as source only."""
    del folder
    lock = a_lock(index, *_WHEELS, SOURCE, needs=(*_NAMES, "tiny-source"))
    return {"pyproject.toml": _PROJECT.format(more=', "tiny-source"'), "uv.lock": lock}


def git_style(index: FakeIndex, folder: Path) -> dict[str, str]:
    """A dependency that is a commit of a git repository."""
    address = served(index, folder / "repository", source_files("tiny-git"))
    lock = a_lock(index, *_WHEELS, needs=(*_NAMES, "tiny-git")) + (
        f'\n[[package]]\nname = "tiny-git"\nversion = "1.0"\nsource = {{ git = "{address}" }}\n'
    )
    return {"pyproject.toml": _PROJECT.format(more=', "tiny-git"'), "uv.lock": lock}


def all_style(index: FakeIndex, folder: Path) -> dict[str, str]:
    """All three files at once, and a `.python-version` of another Python."""
    return lock_style(index, folder) | {"requirements.txt": "dify_plugin==0.5.0\n", ".python-version": "3.11.2\n"}


STYLES: dict[str, Callable[[FakeIndex, Path], dict[str, str]]] = {
    "lock": lock_style,
    "requirements only": requirements_style,
    "`[build-system]`": build_system_style,
    "sdist only": source_style,
    "git": git_style,
    "all three files": all_style,
}


def a_styled_plugin(name: str, index: FakeIndex, folder: Path) -> Path:
    """Write the plugin of a style; the index gets what it needs."""
    index.add(*_WHEELS, SOURCE)
    files: dict[str, str] = plugin_files(requirements=None) | STYLES[name](index, folder)
    return a_package(folder / "plugin.difypkg", files)


def served(index: FakeIndex, repository: Path, files: dict[str, str]) -> str:
    """Commit files to a new git repository, serve it as plain files, and return `address#commit`."""
    commit = a_repository(repository, files)
    for path in sorted((repository / ".git").rglob("*")):
        if path.is_file():
            index.add_file(f"tiny.git/{path.relative_to(repository / '.git')}", path.read_bytes())
    return f"{index.base}/files/tiny.git#{commit}"


def a_repository(folder: Path, files: dict[str, str]) -> str:
    """Commit files to a new git repository that a plain file server can serve; return the commit."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=t", "-c", "user.email=t@tests.invalid", "-c", "init.defaultBranch=main")

    def call(*words: str) -> str:
        done = subprocess.run(["git", *who, *words], cwd=folder, env=env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    write_files(folder, files)
    call("init", "--quiet")
    call("add", "--all")
    call("commit", "--quiet", "-m", "first")
    call("update-server-info")
    return call("rev-parse", "HEAD")
