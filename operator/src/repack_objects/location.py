"""Where an object store is. Never who we are there: credentials come from the environment or from the cloud itself."""

from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

SCHEMES = {"s3": "S3", "gs": "GCS", "az": "Azure"}
"""What an address may begin with, and whose store that is."""


class Location(BaseModel):
    """A bucket (Azure: a container) or a folder in it, and how it is reached."""

    model_config = ConfigDict(frozen=True)

    url: str
    """`s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`."""
    endpoint: str | None = None
    """Base URL of a store of one's own; the cloud's when absent."""
    region: str | None = None
    """Region of an S3 bucket; that of the environment when absent."""
    path_style: bool = True
    """S3: `endpoint/bucket/key` rather than `bucket.endpoint/key`."""
    allow_http: bool = False
    """Let requests go unencrypted."""
    ca_file: Path | None = None
    """PEM file with further authorities that the store's certificate may come from."""

    @field_validator("url")
    @classmethod
    def _of_a_store(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise ValueError("give s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError("it must hold no credentials and no parameters: credentials come from the environment")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _reachable(self) -> "Location":
        if self.endpoint is None:
            return self
        scheme = urlsplit(self.endpoint).scheme
        if scheme not in {"http", "https"} or not urlsplit(self.endpoint).hostname:
            raise ValueError("the endpoint must begin with https:// (or http:// where that is allowed)")
        if scheme == "http" and not self.allow_http:
            raise ValueError("the endpoint is http://, which is not allowed unless *_ALLOW_HTTP is true")
        return self

    @classmethod
    def read(cls, variables: str, **parts: Any) -> Self:
        """Return the location that settings describe.

        Args:
            variables: what the names of the environment variables begin with.
            parts: the fields; None is a default.

        Raises:
            ValueError: a sentence that names the variable.
        """
        try:
            return cls.model_validate({name: value for name, value in parts.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            variable = f"{variables}{'_'.join(str(part) for part in first['loc']) or 'endpoint'}".upper()
            raise ValueError(f"{variable}: {str(first['msg']).removeprefix('Value error, ')}") from None

    @property
    def kind(self) -> str:
        """S3, GCS or Azure."""
        return SCHEMES[urlsplit(self.url).scheme]

    def below(self, folder: str) -> "Location":
        """Return a folder of this place."""
        return self.model_copy(update={"url": f"{self.url}/{folder}"})
