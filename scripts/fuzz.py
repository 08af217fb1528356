"""`make fuzz`: throw bytes at the readers for a bounded time; anything but a reading or a refusal is a find.

What begins like a zip file is read as a package, anything else as each of the texts that a package holds. With atheris
(libFuzzer, led by coverage) where it can be installed, else with mutations of our own. A find is written to `.fuzz/`,
and the exit code is not 0. Not part of the tests: what a run finds depends on its luck.
"""

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parents[1] / ".fuzz"
MAX_BYTES = 8192
MANIFEST = b"""version: 0.0.1
type: plugin
author: a
name: b
label: {en_US: B}
plugins: {tools: [t.yaml]}
meta: {arch: [amd64], runner: {language: python}}
"""
_SCRATCH = Path(tempfile.mkdtemp(prefix="fuzz-"))


def load(atheris: Any) -> None:
    """Import what is fuzzed, instrumented where there is something to instrument it."""
    global Limits, Member, RepackError, pack, read_plugin, read_requirements, read_toml, read_yaml, unpack  # noqa: PLW0603
    if atheris is None:
        from repack_contract.errors import RepackError  # noqa: PLC0415
        from repack_worker.archive import Limits, Member, pack, unpack  # noqa: PLC0415
        from repack_worker.plugin import read_plugin  # noqa: PLC0415
        from repack_worker.requirement_lines import read_requirements  # noqa: PLC0415
        from repack_worker.texts import read_toml, read_yaml  # noqa: PLC0415

        return
    with atheris.instrument_imports(include=["repack_worker", "zipfile", "yaml"]):
        load(None)


def one_input(data: bytes) -> None:
    """Read the bytes; raise when that goes wrong in a way that is no `RepackError`."""
    try:
        if data.startswith(b"PK"):
            read_package(data)
        else:
            for read in (read_requirements, _toml, _yaml):
                with contextlib.suppress(RepackError, UnicodeDecodeError):
                    read(data.decode())
    except RepackError:
        pass


def read_package(data: bytes) -> None:
    """Lay the package out and read what it says; raise when something of it lands outside its folder."""
    package, into = _SCRATCH / "p", _SCRATCH / "in" / "to"
    package.write_bytes(data)
    try:
        plugin = read_plugin(unpack(package, into, limits=Limits(entries=200, total_bytes=1 << 20)))
        for name, read in (("requirements.txt", read_requirements), ("pyproject.toml", _toml)):
            if name in plugin.names:
                read(plugin.text_of(name))
    finally:
        outside = {path.name for path in _SCRATCH.iterdir()} - {"p", "in"}
        outside |= {path.name for path in (_SCRATCH / "in").glob("*")} - {"to"}
        shutil.rmtree(_SCRATCH / "in", ignore_errors=True)
        if outside:
            raise AssertionError(f"something landed outside: {outside}")


def _toml(text: str) -> None:
    read_toml(text, name="x")


def _yaml(text: str) -> None:
    read_yaml(text, name="x")


def seeds() -> list[bytes]:
    """Return small packages to begin with."""
    made = [
        MANIFEST,
        b"x: &a [1, 1:1:1, 2026-01-01]\ny: {<<: [{b: *a}], k: !!str 1}\n",
        b"a[b]>=1; x == '1' \\\n # c\n",
    ]
    for files in (
        {"t.yaml": b"{}", "requirements.txt": b"a==1 --hash=sha256:0\n-i https://e.org\nb @ https://e.org/b.whl\n"},
        {"t.yaml": b"{}", "pyproject.toml": b'[project]\ndependencies = ["a"]\n', "x/y/z.txt": b"x" * 100},
    ):
        target = _SCRATCH / "seed"
        pack([Member("manifest.yaml", MANIFEST), *(Member(name, text) for name, text in files.items())], target)
        made.append(target.read_bytes())
        target.unlink()
    return made


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes with a few changes: bits, runs, lengths, pieces."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at, length = rng.randrange(len(changed)), rng.choice((1, 2, 4, 16))
        match rng.randrange(4):
            case 0:
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at : at + length] = rng.choice((b"\x00", b"\xff", b"../", b"\n", b"&a *a ")) * length
            case 2:
                del changed[at : at + length]
            case _:
                changed[at:at] = changed[rng.randrange(len(changed)) :][:length]
        changed = changed or bytearray(b"x")
    return bytes(changed[:MAX_BYTES])


def without_atheris(seconds: int, seed: int) -> int:
    """Mutate the seeds until the time is over; return the exit code."""
    rng, pool, end, runs = random.Random(seed), seeds(), time.monotonic() + seconds, 0  # noqa: S311
    while time.monotonic() < end:
        data = mutate(rng.choice(pool), rng)
        runs += 1
        try:
            one_input(data)
        except Exception:
            find = HOME / f"find-{seed}-{runs}"
            find.write_bytes(data)
            traceback.print_exc()
            print(f"written to {find}; seed {seed}", file=sys.stderr)
            return 1
    print(f"{runs:,} packages in {seconds} s, nothing found (seed {seed}; atheris is not installed)")
    return 0


def main() -> int:
    """Fuzz for the time that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    options = parser.parse_args()
    HOME.mkdir(exist_ok=True)
    try:
        import atheris  # noqa: PLC0415
    except ImportError:
        atheris = None
    load(atheris)
    if atheris is None:
        return without_atheris(options.seconds, options.seed)
    corpus = HOME / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    bounds = [
        f"-seed={options.seed}",
        f"-artifact_prefix={HOME}/find-",
        f"-max_total_time={options.seconds}",
        f"-max_len={MAX_BYTES}",
        "-timeout=20",
        "-rss_limit_mb=1024",
    ]
    atheris.Setup(
        [sys.argv[0], *bounds, f"-seed={options.seed}", f"-artifact_prefix={HOME}/find-", str(corpus)], one_input
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        shutil.rmtree(_SCRATCH, ignore_errors=True)
