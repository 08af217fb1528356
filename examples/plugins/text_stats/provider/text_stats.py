"""The provider of the tool: it needs no credentials, so there is nothing to check."""

from typing import Any

from dify_plugin import ToolProvider


class TextStatsProvider(ToolProvider):
    """Gives access to the tool without any credentials."""

    def _validate_credentials(self, credentials: dict[str, Any]) -> None:
        """Accept: no credentials exist."""
