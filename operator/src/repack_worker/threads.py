"""Work on files in a thread, which a cancelled task waits for: else the thread would write on while others clean up."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(function: Callable[_P, _T], *args: _P.args, **words: _P.kwargs) -> _T:
    """Run a function in a thread and return its result; on cancellation let it end first, then be cancelled."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args, **words))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
