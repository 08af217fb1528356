"""Work that nobody leaves behind, in a thread or several things at once: whoever cleans up afterwards is alone then."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(function: Callable[_P, _T], *args: _P.args, **words: _P.kwargs) -> _T:
    """Run a function in a thread and return its result; on cancellation let it end first, then be cancelled."""
    return await to_the_end(asyncio.to_thread(function, *args, **words))


async def to_the_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Do something that is not broken off: on cancellation let it end first, then be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def together(works: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Do several things at once; return their results in order.

    The first failure ends the others and is raised once they have ended: `asyncio.gather` would let them run on, in
    folders that are being removed.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]
