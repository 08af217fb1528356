"""A synthetic set of plugins: wheels of random bytes on an index of our own, and plugins with a lock onto them.

Random bytes, for wheels are compressed already: deflating them again costs what it costs the classic way.
"""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from fakes.index import FakeIndex, WheelFile, a_wheel
from fakes.plugins import a_lock, a_package, plugin_files

_PROJECT = '[project]\nname = "{name}"\nversion = "0.0.1"\nrequires-python = ">=3.12"\ndependencies = ["dify-plugin"]\n'


def a_random_wheel(name: str, size: int, *, requires: tuple[str, ...] = ()) -> WheelFile:
    """Return a wheel of about that many bytes; the same name gives the same bytes."""
    content = random.Random(name).randbytes(size)  # noqa: S311 - sizes, not secrets
    return a_wheel(name, requires=requires, files={f"{name.replace('-', '_')}/data.bin": content})


def a_closure(count: int, size: int) -> list[WheelFile]:
    """Return `dify-plugin` and what it needs: `count` wheels of `size` bytes in all, few large and many small."""
    weights = [1 / (rank + 1) for rank in range(count - 1)]
    names = [f"dep-{count}-{number}" for number in range(count - 1)]
    wheels = [
        a_random_wheel(name, int(size * weight / sum(weights))) for name, weight in zip(names, weights, strict=True)
    ]
    return [a_random_wheel("dify-plugin", 20_000, requires=tuple(names)), *wheels]


def a_plugin(folder: Path, index: FakeIndex, wheels: list[WheelFile], *, name: str = "tiny") -> Path:
    """Write a plugin with a lock, and the pinned requirements.txt that the classic way needs."""
    files = plugin_files(requirements="".join(f"{wheel.name}=={wheel.version}\n" for wheel in wheels))
    files["manifest.yaml"] = files["manifest.yaml"].replace("name: tiny", f"name: {name}")
    files["pyproject.toml"] = _PROJECT.format(name=name)
    files["uv.lock"] = a_lock(index, *wheels, needs=tuple(wheel.name for wheel in wheels))
    return a_package(folder / f"{name}.difypkg", files)
