"""Which uv we ship with."""

import importlib.metadata


def our_uv_version() -> str:
    """Return the version of the uv that we ship with."""
    return importlib.metadata.version("uv")
