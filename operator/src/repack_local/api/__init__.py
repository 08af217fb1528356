"""A small Kubernetes API in this process: kubectl cannot tell the parts that it has from those of a real one.

For one machine, for trying out and for tests; the conformance suite holds it to what a real API server does.
"""

from repack_local.api.server import ApiOptions, EmbeddedApi

__all__ = ["ApiOptions", "EmbeddedApi"]
