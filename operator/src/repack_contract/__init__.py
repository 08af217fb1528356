"""The vocabulary of dify-repack, written once: everything that two programs must agree on.

The package imports pydantic, msgspec and the standard library only. From it are generated the CRD, the OpenAPI
document and the TypeScript types of the page (`python -m repack_contract.schema`), and a test fails when one is stale.
"""

VERSION = "0.1.0"
"""Of dify-repack: the packaging reads it here too."""
