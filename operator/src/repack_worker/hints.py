"""What a plugin will want from the network when it runs: no wheel can bring it, so people are told beforehand.

A static look at the plugin's own code and at the names of its dependencies; nothing is run, and nothing is proven: a
hint says where to look (repackaging.md 3, no. 11). Dify's image carries tiktoken's common encodings, and every plugin
depends on tiktoken through the SDK, so only code of the plugin's own that uses it is worth a word.
"""

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from repack_worker.plugin import Plugin

_MAX_FILE_BYTES = 1 << 20
_MAX_SCANNED_BYTES = 32 << 20
_MAX_LINE = 1000


class _Rule(Struct, frozen=True):
    says: str
    code: re.Pattern[str] | None = None
    """Found in a line of the plugin's own code."""
    distributions: frozenset[str] = frozenset()
    """Found among the dependencies, by normalised name."""


def _rule(says: str, *, code: str | None = None, distributions: str = "") -> _Rule:
    return _Rule(says, re.compile(code) if code else None, frozenset(distributions.split()))


RULES = (
    _rule(
        "tiktoken downloads an encoding at its first use; Dify's image carries the common ones, others need "
        "TIKTOKEN_CACHE_DIR",
        code=r"\btiktoken\.(get_encoding|encoding_for_model)\(",
    ),
    _rule("nltk downloads its data when it is asked for it", code=r"\bnltk\.download\(", distributions="nltk"),
    _rule(
        "models are downloaded from Hugging Face unless they lie in HF_HOME already",
        code=r"\b(from_pretrained|hf_hub_download|snapshot_download|SentenceTransformer)\(",
        distributions="transformers sentence-transformers diffusers fastembed",
    ),
    _rule(
        "a browser is needed beside the package: `playwright install` fetches one",
        code=r"^\s*(from|import)\s+playwright\b", distributions="playwright",
    ),
    _rule(
        "a browser driver is downloaded at run time",
        code=r"^\s*(from|import)\s+webdriver_manager\b", distributions="webdriver-manager undetected-chromedriver",
    ),
    _rule("language models are downloaded apart from the package", code=r"\bspacy\.(load|cli\.download)\(",
          distributions="spacy"),
    _rule("models are downloaded at the first use", code=r"\btorch\.hub\.load\(",
          distributions="easyocr paddleocr openai-whisper"),
    _rule("packages are installed at run time, which a closed network refuses",
          code=r"""['"]?pip['"]?(,\s*|\s+)['"]?install\b"""),
)  # fmt: skip


def hints_of(plugin: Plugin, distributions: Iterable[str]) -> tuple[str, ...]:
    """Return one sentence for each thing that the plugin may want from the network at run time.

    Args:
        plugin: the plugin as unpacked.
        distributions: normalised names of all its dependencies.
    """
    names, found = set(distributions), dict[_Rule, str]()
    for where, line in _lines(plugin):
        for rule in RULES:
            if rule not in found and rule.code and rule.code.search(line):
                found[rule] = where
    return tuple(
        f"At run time: {rule.says} ({found.get(rule) or ', '.join(sorted(rule.distributions & names))})"
        for rule in RULES
        if rule in found or rule.distributions & names
    )


def _lines(plugin: Plugin) -> Iterator[tuple[str, str]]:
    """Yield each line of the plugin's own Python files with its place; bounded, whatever the plugin holds."""
    left = _MAX_SCANNED_BYTES
    for name in plugin.names:
        path = plugin.folder / name
        if not name.endswith(".py") or name.startswith("wheels/") or (size := path.stat().st_size) > _MAX_FILE_BYTES:
            continue
        left -= size
        if left < 0:
            return
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1):
            yield f"{name}:{number}", line[:_MAX_LINE]
