"""What the dashboard tells of a Marketplace: its own few fields, whatever the Marketplace's answers hold besides."""

from pydantic import Field

from repack_contract.wire import Model


class MarketplacePlugin(Model):
    """A plugin as a list of search results shows it."""

    author: str
    name: str
    label: dict[str, str] = Field(default_factory=dict)
    """What people call it, by language (`en_US`, `zh_Hans`)."""
    brief: dict[str, str] = Field(default_factory=dict)
    """One sentence, by language."""
    category: str = ""
    latest_version: str | None = None
    installs: int = 0
    verified: bool = False


class MarketplacePage(Model):
    """A page of search results."""

    items: list[MarketplacePlugin]
    total: int
    """Number of plugins that match."""
    page: int


class MarketplaceVersions(Model):
    """All versions of one plugin, newest first."""

    plugin: MarketplacePlugin
    versions: list[str]


class MarketplaceAuthors(Model):
    """Authors of the plugins that are installed most."""

    authors: list[str]
