"""Which uv we ship with."""

from pathlib import Path

import uv


def our_uv_version() -> str:
    """Return the version of the uv that we ship with.

    By the folder that every installer writes beside a package (specification of recorded projects): what reads it,
    `importlib.metadata`, takes 10 ms to import, and is asked where there is not exactly one.
    """
    records = [path.name for path in Path(uv.__file__).parents[1].glob("uv-*.dist-info")]
    if len(records) == 1:
        return records[0].removeprefix("uv-").removesuffix(".dist-info")
    from importlib.metadata import version  # noqa: PLC0415 - seldom needed

    return version("uv")
