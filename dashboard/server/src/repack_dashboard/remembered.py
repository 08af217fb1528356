"""Answers that cost a call: each question is asked once at a time, and its answer kept for some seconds."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


class Remembered(Generic[Question, Answer]):
    """Asks `ask` and remembers. A failure is told to all who wait for it, and not remembered."""

    def __init__(
        self,
        ask: Callable[[Question], Awaitable[Answer]],
        *,
        seconds: float,
        clock: Callable[[], float],
        bound: int = 10_000,
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._bound = bound
        self._kept: dict[Question, tuple[float, asyncio.Future[Answer]]] = {}

    async def get(self, question: Question) -> Answer:
        """Return the answer, at most `seconds` old. Raises what `ask` raises."""
        now = self._clock()
        at, answer = self._kept.get(question, (now, None))
        if answer is None or at + self._seconds <= now or _has_failed(answer):
            self._make_room(now)
            answer = asyncio.ensure_future(self._ask(question))
            answer.add_done_callback(_has_failed)  # looked at, so that nobody complains when all who asked have gone
            self._kept[question] = (now, answer)
        return await asyncio.shield(answer)  # one who goes away must not take the answer from the others

    def _make_room(self, now: float) -> None:
        if len(self._kept) < self._bound:
            return
        self._kept = {key: kept for key, kept in self._kept.items() if kept[0] + self._seconds > now}
        while len(self._kept) >= self._bound:
            del self._kept[next(iter(self._kept))]


def _has_failed(answer: "asyncio.Future[Answer]") -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)
