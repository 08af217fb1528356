"""What uv says when it fails, as one sentence that names the culprit."""

import re
from collections.abc import Iterable

_DRAWING = re.compile(r"[×╰─▶│├⤷\u2500-\u257f\u25b6]")
_NOISE = re.compile(r"^\s*(\d+(\.\d+)?(ms|s|µs)\s|(DEBUG|TRACE|INFO)\b|uv(::|_)|[┌┐└┘])")
_RETRIES = re.compile(r"cause: Request failed after \d+ retr\w+ in \S+ ")
_TECHNICALITIES = re.compile(r" cause: error sending request .*")
"""What follows is the chain of causes inside uv's HTTP client; the address and the failure stand before it."""
_STARTS = ("error:", "×", "x ", "hint:")
_PREFIXES = (
    "error: ",
    "x ",
    "No solution found when resolving dependencies: ",
    "No solution found when resolving dependencies cause: ",
)
_LONGEST = 800


def sentence(lines: Iterable[str]) -> str:
    """Return uv's report as one line of running text, without drawing characters and debug lines."""
    said = [line for line in lines if line.strip() and not _NOISE.match(line)]
    starts = [at for at, line in enumerate(said) if line.strip().lower().startswith(_STARTS)]
    text = " ".join(_DRAWING.sub(" ", " ".join(said[starts[0] :] if starts else said[-5:])).split())
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    text = _RETRIES.sub("", _TECHNICALITIES.sub("", text)).strip()
    return text[:_LONGEST] or "uv gave no reason."
