"""Measure what our images add to their base, and write docs/images.md.

    scripts/image_sizes.py --base BASE.tar operator=OPERATOR.tar worker=WORKER.tar … --write docs/images.md

Each file is what `docker save` (or `buildah push … docker-archive:`) writes. Sizes are those of the files, unpacked.
"""

import argparse
import json
import sys
import tarfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "opt/dify-repack/"
SITE = f"{PROGRAM}lib/python3.12/site-packages/"
SHOWN = 6
"""So many of the largest Python packages are named."""

HEAD = """\
# Images

Written by `scripts/image_sizes.py` from the images themselves; sizes are those of the files, unpacked, in MB.

The Dockerfile at the top makes all of them: `docker build --target worker -t REGISTRY/dify-repack/worker:VERSION .`
Their bases are build arguments (`PYTHON_IMAGE`, `NODE_IMAGE`): name them by digest where a build must be repeatable to
the byte. What is installed comes from `images/*.lock`, parts of `requirements.lock` with a hash for every file. Every
image runs as 65532:65532 with a read-only root.

| target | for | base | added | of which |
|---|---|---|---|---|
"""
PURPOSE = {
    "operator": "the operator",
    "worker": "the Jobs: uv and the CPython that plugins are verified with",
    "worker-build": "the Jobs, where packages must be compiled: gcc, g++, make, git, headers",
    "dashboard": "the dashboard, with the built page",
}
TAIL = """
Why they are as small as they are:

- Each has an environment of its own, with the packages of its part only: no worker can speak to a cluster, because
  nothing in its image knows how.
- Of the package `kubernetes` (119 MB installed, with its models) the HTTP client, the
  configuration and the loaders of credentials stay, 0.2 MB (`images/slim_kubernetes.py`).
  The operator also starts faster and takes less memory so.
- `uv` and the page's build tools stay in build stages; only the worker carries `uv`, because the plugin daemon does.
- The standard library and all packages are compiled once, in the image: at run time nothing can be written beside
  them, and each start would compile them again.
"""


def contents(archive: Path) -> dict[str, int]:
    """Return the size of every file of an image; later layers cover earlier ones."""
    files: dict[str, int] = {}
    with tarfile.open(archive) as image:
        manifest = json.load(image.extractfile("manifest.json"))  # type: ignore[arg-type]
        for name in manifest[0]["Layers"]:
            with tarfile.open(fileobj=image.extractfile(name)) as layer:
                for member in layer:
                    _cover(files, member)
    return files


def _cover(files: dict[str, int], member: tarfile.TarInfo) -> None:
    folder, _, name = member.name.lstrip("./").rpartition("/")
    prefix = f"{folder}/" if folder else ""
    if name == ".wh..wh..opq":
        gone = [path for path in files if path.startswith(prefix)]
    elif name.startswith(".wh."):
        hidden = prefix + name.removeprefix(".wh.")
        gone = [path for path in files if path == hidden or path.startswith(f"{hidden}/")]
    else:
        gone = []
        if member.isfile():
            files[prefix + name] = member.size
    for path in gone:
        del files[path]


def added(files: dict[str, int], base: dict[str, int]) -> Counter[str]:
    """Return the bytes that an image has and its base has not, by what they are for."""
    parts: Counter[str] = Counter()
    for path, size in files.items():
        if base.get(path) != size:
            parts[_part(path)] += size
    return parts


def _part(path: str) -> str:
    if path.startswith(SITE):
        name = path.removeprefix(SITE).split("/")[0]
        return "our code" if name.startswith("repack_") else name.split("-")[0].split(".")[0]
    if path == f"{PROGRAM}bin/uv":
        return "uv"
    if path.startswith(f"{PROGRAM}page/"):
        return "the page"
    if path.startswith("usr/local/lib/python3.12/") and path.endswith(".pyc"):
        return "the standard library, compiled"
    return "compilers and headers" if path.startswith(("usr/", "var/", "etc/", "lib")) else "the rest"


def row(target: str, files: dict[str, int], base: dict[str, int]) -> str:
    """Return an image's row of the table."""
    parts = added(files, base)
    largest = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in parts.most_common(SHOWN))
    return (
        f"| `{target}` | {PURPOSE[target]} | {sum(base.values()) / 1e6:.0f} | {parts.total() / 1e6:.0f} | {largest} |"
    )


def main() -> int:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--write", type=Path)
    parser.add_argument("images", nargs="+", help="TARGET=ARCHIVE")
    options = parser.parse_args()
    base = contents(options.base)
    pairs = [image.partition("=") for image in options.images]
    rows = [row(target, contents(Path(archive)), base) for target, _, archive in pairs]
    text = HEAD + "\n".join(rows) + "\n" + TAIL
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
