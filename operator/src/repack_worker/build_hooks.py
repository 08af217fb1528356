"""Runs one PEP 517 hook of a source: `python build_hooks.py STEP OUT BACKEND PATH…`; the answer is `OUT/STEP.json`.

Runs as a file of its own, in the interpreter of the build's environment, which has none of our packages.
"""

import importlib
import json
import os
import sys


def main(step: str, out: str, backend: str, paths: list[str]) -> None:
    """Call the hook and write what it answers."""
    sys.path[0:1] = paths  # in place of our own folder
    module, _, attribute = backend.partition(":")
    hooks = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        hooks = getattr(hooks, part)
    if step == "requires":
        ask = getattr(hooks, "get_requires_for_build_wheel", None)
        answer = ask(None) if ask else []
    else:
        answer = hooks.build_wheel(out, None, None)
    with open(os.path.join(out, f"{step}.json"), "w", encoding="utf-8") as file:  # noqa: PTH118, PTH123 - any Python 3
        json.dump(answer, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
