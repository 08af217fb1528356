"""Builders of plugin packages, whole and broken."""

import zipfile
from pathlib import Path

from fakes.index import FakeIndex, WheelFile

MANIFEST = """\
version: 0.0.1
type: plugin
author: tester
name: tiny
label:
  en_US: Tiny
plugins:
  tools:
    - provider/tiny.yaml
meta:
  version: 0.0.1
  arch: [amd64, arm64]
  runner:
    language: python
    version: "3.12"
    entrypoint: main
"""


def plugin_files(
    *, requirements: str | None = "tiny-sdk==1.0\n", manifest: str = MANIFEST, **more: str
) -> dict[str, str]:
    """Return the files of a small plugin by name; `more` adds files, `__` stands for `.` in their names."""
    files = {"manifest.yaml": manifest, "provider/tiny.yaml": "identity: {}\n", "main.py": "print('hello')\n"}
    if requirements is not None:
        files["requirements.txt"] = requirements
    return {**files, **{name.replace("__", "."): text for name, text in more.items()}}


def a_package(path: Path, files: dict[str, str] | None = None) -> Path:
    """Write a plugin package."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (files or plugin_files()).items():
            archive.writestr(name, text)
    return path


def a_lock(index: FakeIndex, *wheels: WheelFile, needs: tuple[str, ...] = ()) -> str:
    """Return a uv.lock of a project that needs the first file (or `needs`), with wheels and sources of an index."""
    wanted = needs or (wheels[0].name,)
    lines = ["version = 1", "revision = 3", 'requires-python = ">=3.11"', ""]
    lines += ["[[package]]", 'name = "tiny"', 'version = "0.0.1"', 'source = { virtual = "." }', "dependencies = ["]
    lines += [f'    {{ name = "{name}" }},' for name in wanted] + ["]", ""]
    for name, files in _by_name(wheels).items():
        lines += ["[[package]]", f'name = "{name}"', f'version = "{files[0].version}"']
        lines += [f'source = {{ registry = "{index.url}" }}']
        lines += [f"sdist = {_file(index, file)}" for file in files if not file.filename.endswith(".whl")]
        lines += [
            "wheels = [",
            *(f"    {_file(index, file)}," for file in files if file.filename.endswith(".whl")),
            "]",
            "",
        ]
    return "\n".join(lines)


def _by_name(files: tuple[WheelFile, ...]) -> dict[str, list[WheelFile]]:
    found: dict[str, list[WheelFile]] = {}
    for file in files:
        found.setdefault(file.name, []).append(file)
    return found


def _file(index: FakeIndex, file: WheelFile) -> str:
    return f'{{ url = "{index.file_url(file)}", hash = "sha256:{file.sha256}", size = {len(file.content)} }}'


PYPROJECT = '[project]\nname = "tiny"\nversion = "0.0.1"\nrequires-python = ">=3.11"\ndependencies = ["tiny-sdk"]\n'
