"""Plugins that need the packages of a synthetic index: with a lock as all official ones have, or without."""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from wheelhouse import Wheel

from fakes.plugins import a_package, plugin_files

_PROJECT = '[project]\nname = "{name}"\nversion = "0.0.1"\nrequires-python = ">=3.12"\ndependencies = {needs}\n'


def write_plugin(
    folder: Path, base: str, wheels: Sequence[Wheel], *, name: str = "tiny", locked: bool = True, pinned: bool = False
) -> Path:
    """Write a plugin: `requirements.txt` has its own requirements as ranges, or all of the closure pinned.

    Args:
        folder: where to.
        base: address of the index's server, which the lock names.
        wheels: all that it needs; the first one is `dify-plugin`.
        name: of the plugin.
        locked: with `pyproject.toml` and `uv.lock`.
        pinned: `requirements.txt` pins everything, so that nothing is left to resolve.
    """
    own = [wheels[0].range, *(wheel.range for wheel in wheels[1:] if not _is_needed(wheel, wheels))]
    lines = [f"{wheel.name}=={wheel.version}" for wheel in wheels] if pinned else own
    files = plugin_files(requirements="\n".join(lines) + "\n")
    files["manifest.yaml"] = files["manifest.yaml"].replace("name: tiny", f"name: {name}")
    if locked:
        files["pyproject.toml"] = _PROJECT.format(name=name, needs=own)
        files["uv.lock"] = _lock(base, wheels, name=name, needs=[wheels[0], *_top(wheels)])
    return a_package(folder / f"{name}.difypkg", files)


def _is_needed(wheel: Wheel, wheels: Sequence[Wheel]) -> bool:
    return any(wheel.range in other.requires for other in wheels)


def _top(wheels: Sequence[Wheel]) -> list[Wheel]:
    return [wheel for wheel in wheels[1:] if not _is_needed(wheel, wheels)]


def _lock(base: str, wheels: Sequence[Wheel], *, name: str, needs: Sequence[Wheel]) -> str:
    lines = ["version = 1", "revision = 3", 'requires-python = ">=3.12"', "", "[[package]]", f'name = "{name}"',
             'version = "0.0.1"', 'source = { virtual = "." }', "dependencies = ["]  # fmt: skip
    lines += [f'    {{ name = "{wheel.name}" }},' for wheel in needs] + ["]", ""]
    for wheel in wheels:
        lines += ["[[package]]", f'name = "{wheel.name}"', f'version = "{wheel.version}"']
        lines += [f'source = {{ registry = "{base}/simple" }}', "dependencies = ["]
        lines += [f'    {{ name = "{each.partition(">")[0]}" }},' for each in wheel.requires] + ["]", "wheels = ["]
        for filename, sha256 in ((wheel.filename, wheel.sha256), *wheel.others):
            url = f"{base}/packages/{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}/{filename}"
            lines.append(f'    {{ url = "{url}", hash = "sha256:{sha256}", size = {wheel.size} }},')
        lines += ["]", ""]
    return "\n".join(lines)
