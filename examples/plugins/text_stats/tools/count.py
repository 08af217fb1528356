"""The tool: figures about a text."""

import re
from collections.abc import Generator
from typing import Any

from dify_plugin import Tool
from dify_plugin.entities.tool import ToolInvokeMessage

WORDS_PER_MINUTE = 238
_WORD = re.compile(r"[\u4e00-\u9fff]|[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?。！？…]+(?:\s|$)|[。！？…]+")


def count(text: str) -> dict[str, int]:
    """Return the figures. A Chinese character counts as a word, as word processors do it."""
    words = len(_WORD.findall(text))
    return {
        "characters": len(text),
        "words": words,
        "sentences": len(_SENTENCE_END.findall(text)) or bool(words),
        "reading_seconds": round(words * 60 / WORDS_PER_MINUTE),
    }


class CountTool(Tool):
    """Counts a text."""

    def _invoke(self, tool_parameters: dict[str, Any]) -> Generator[ToolInvokeMessage]:
        """Yield the figures as JSON."""
        yield self.create_json_message(count(str(tool_parameters.get("text") or "")))
