"""Where a plugin comes from: `spec.source` of a RepackageTask."""

from typing import Annotated

from pydantic import ConfigDict, Field

from repack_contract.choices import SourceType as SourceType  # noqa: PLC0414 - re-exported
from repack_contract.wire import StrictModel, rules

_HTTP_URL = r"^https?://[^\s]+$"
_PLUGIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
HttpUrl = Annotated[str, Field(max_length=2048, pattern=_HTTP_URL)]


class MarketplaceSource(StrictModel):
    """A plugin of the Dify Marketplace."""

    author: str = Field(min_length=1, max_length=64, pattern=_PLUGIN_NAME)
    """First part of `author/name`."""
    name: str = Field(min_length=1, max_length=128, pattern=_PLUGIN_NAME)
    """Second part of `author/name`."""
    version: str | None = Field(default=None, min_length=1, max_length=64, pattern=r"^[0-9][A-Za-z0-9.+-]*$")
    """Absent: the latest one, looked up when the task runs."""


class GitHubSource(StrictModel):
    """An asset of a GitHub release."""

    repo: str = Field(max_length=140, pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$")
    """As `owner/name`."""
    tag: str | None = Field(default=None, min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/+-]*$")
    """Absent: the latest release, looked up when the task runs."""
    asset: str | None = Field(
        default=None, min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*\.difypkg$"
    )
    """Absent: the release's only .difypkg."""


class UrlSource(StrictModel):
    """A package at an address."""

    url: HttpUrl
    """Where the .difypkg is; redirects are followed."""
    sha256: str | None = Field(default=None, pattern=r"^[a-f0-9]{64}$", max_length=64)
    """Checked after the download, when given."""


class UploadSource(StrictModel):
    """A package that was uploaded to the dashboard before."""

    key: str = Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """As the upload was answered."""


class Source(StrictModel):
    """The plugin to repackage: `type`, and the one field of that name."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *(
                (f"(self.type == '{kind}') == has(self.{kind.lower()})",
                 f"source.{kind.lower()} must be set exactly when type is {kind}")
                for kind in ("Marketplace", "GitHub", "URL", "Upload")
            )
        )
    )  # fmt: skip

    type: SourceType = Field(json_schema_extra={"maxLength": 16})
    """Which of the four fields below counts."""
    marketplace: MarketplaceSource | None = None
    github: GitHubSource | None = None
    url: UrlSource | None = None
    upload: UploadSource | None = None
