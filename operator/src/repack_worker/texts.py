"""Parsing YAML and TOML that somebody else wrote, within bounds: a short text must not become a large thing.

Measured with CPython 3.11: 256 KiB of YAML cost PyYAML up to 3 s and 100 MB, and libyaml's parser, ten times as fast,
ends the process where they nest deep; a dotted TOML key costs tomllib the square of its parts (200 KB two minutes).
"""

import contextlib
import re
from typing import Any

import tomli
import yaml

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason

MAX_YAML_BYTES = 256 << 10
"""The manifests of the official plugins have less than 10 KB."""
_MAX_EXPANDED = 1 << 20
"""Characters of all scalars, each counted as often as aliases repeat it."""
_MAX_NUMBER = 64
"""Characters of a scalar that is not a text; YAML 1.1 reads `1:1:1:…` as one number to the base of 60."""
_LONG_KEY = re.compile(r"""^[ \t]*(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){64}""", re.MULTILINE)


def read_yaml(text: str, *, name: str) -> Any:
    """Return what a YAML text says; raise `InvalidPackage` where it cannot be read, or says too much."""
    if len(text) > MAX_YAML_BYTES:
        raise _bad(f"{name} is larger than {MAX_YAML_BYTES >> 10} KiB.")
    try:
        with contextlib.closing(_Loader(text)) as loader:  # its constructor refuses control characters
            node = loader.get_single_node()
            if node is None:
                return None
            if _expanded(node) > _MAX_EXPANDED:
                raise _bad(f"{name} repeats itself by aliases to more than {_MAX_EXPANDED:,} characters.")
            return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise _bad(f"{name} is not valid YAML: {_one_line(error)}.") from error


class _Loader(yaml.SafeLoader):
    def close(self) -> None:
        """Let go of what the parser holds."""
        self.dispose()


def read_toml(text: str, *, name: str) -> dict[str, Any]:
    """Return what a TOML text says; raise `InvalidPackage` where it cannot be read."""
    if _LONG_KEY.search(text):
        raise _bad(f"{name} has a key of more than 64 parts.")
    try:
        return tomli.loads(text)
    except (ValueError, RecursionError) as error:  # a number of too many digits is no TOMLDecodeError
        raise _bad(f"{name} is not valid TOML: {_one_line(error)}.") from error


def shown(value: object) -> str:
    """Return a value as a message may show it: a scalar shortened, of a collection only what it is."""
    if isinstance(value, dict | list | set | tuple):
        return f"a {type(value).__name__}"
    return repr(str(value)[:80])


def _expanded(node: yaml.Node) -> int:
    """Return how much a node is when every alias is written out; raise `ValueError` where one contains itself."""
    sizes: dict[int, int] = {}
    stack = [(node, False)]
    while stack:
        each, ready = stack.pop()
        if ready:
            sizes[id(each)] = 1 + sum(sizes[id(child)] for child in _children(each))
        elif id(each) not in sizes:
            if isinstance(each, yaml.ScalarNode):
                sizes[id(each)] = _checked(each)
                continue
            sizes[id(each)] = -1
            stack.append((each, True))
            stack.extend((child, False) for child in _children(each))
        elif sizes[id(each)] < 0:
            raise ValueError("an alias contains itself")
    return sizes[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _checked(node: yaml.ScalarNode) -> int:
    if not node.tag.endswith((":str", ":null")) and len(node.value) > _MAX_NUMBER:
        raise ValueError(f"a value of {len(node.value):,} characters that is no text")
    return 1 + len(node.value)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _bad(message: str) -> RepackError:
    return RepackError(Reason.INVALID_PACKAGE, message)
