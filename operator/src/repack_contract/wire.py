"""The two base models (camelCase on the wire, snake_case in our code), and what JSON Schema lacks of a CRD."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from repack_contract import descriptions


def rfc3339(moment: datetime) -> str:
    """Write a moment the way Kubernetes does: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json-unless-none")]
"""A moment in a Kubernetes object: whole seconds, as its API server compares them."""


class Model(BaseModel):
    """Frozen, camelCase on the wire, unknown fields ignored: an older program reads a newer object."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="ignore",
        use_attribute_docstrings=descriptions.are_wanted(),
    )

    def wire(self) -> dict[str, Any]:
        """Return the JSON value of this model without the fields that are None."""
        return self.model_dump(mode="json", exclude_none=True)


class StrictModel(Model):
    """As `Model`, and an unknown field is an error: for what users send, where a typing error must not be silent."""

    model_config = ConfigDict(extra="forbid")


INT32: JsonDict = {"format": "int32"}
INT64: JsonDict = {"format": "int64"}


def rules(*pairs: tuple[str, str]) -> JsonDict:
    """Return CEL rules: (expression, the sentence that a user gets where it is false)."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


def list_map(key: str) -> JsonDict:
    """Return what makes a list one that is merged by a key of its entries."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
