"""Links between the documents lead somewhere: to a file of this repository, and to a heading that it has."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PATTERNS = ("*.md", "docs/*.md", "charts/**/*.md", "examples/**/*.md")
DOCUMENTS = sorted(path for pattern in _PATTERNS for path in ROOT.glob(pattern))
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the anchors of a document's headings, made as GitHub makes them."""
    headings = _HEADING.findall(_FENCE.sub("", path.read_text(encoding="utf-8")))
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def broken(document: Path) -> list[str]:
    """Return the relative links of a document that lead nowhere."""
    found = []
    for link in _LINK.findall(_FENCE.sub("", document.read_text(encoding="utf-8"))):
        place, _, anchor = link.partition("#")
        target = (document.parent / place).resolve() if place else document
        if "://" in link or link.startswith("mailto:"):
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    assert broken(document) == []
