"""Looking again at connected users, where answers come late or never."""

import asyncio
from typing import Any

from repack_dashboard.hub import Client
from repack_dashboard.live import Seats
from repack_dashboard.users import Access, UnauthenticatedError


class Door:
    """Stands for hub and welcome: notes what is done to whom."""

    def __init__(self) -> None:
        self.closed: list[tuple[str, int]] = []

    def close(self, client: Client, code: int, reason: str = "") -> None:
        self.closed.append((client.id, code))

    def reply(self, *_: Any, **__: Any) -> None:
        pass

    def change(self, client: Client, sees: object) -> bool:
        return True


class SlowUsers:
    """Answers by hand, by token."""

    are_watched = True

    def __init__(self) -> None:
        self.answers: dict[str | None, asyncio.Future[Access]] = {}

    async def access(self, token: str | None) -> Access:
        return await self.answers.setdefault(token, asyncio.get_running_loop().create_future())

    async def may(self, access: Access, verb: str, namespace: str) -> bool:
        return True


def a_client(number: int) -> Client:
    return Client(f"c-{number}", None, is_v1=True, kind="tasks", opened_at=0)  # type: ignore[arg-type]


def seats_of(users: SlowUsers, door: Door) -> Seats:
    options: dict[str, Any] = {"hub": door, "welcome": door, "namespaces": frozenset, "seconds": 0.0}
    return Seats(users, clocks=(lambda: 1.0, lambda: 100.0), **options)


async def test_a_late_answer_about_the_old_token_does_not_undo_the_new_one() -> None:
    users, door, client = SlowUsers(), Door(), a_client(1)
    seats = seats_of(users, door)
    seats.take(client, "old", Access(users, "ann"))
    looking = asyncio.create_task(seats.look())
    await asyncio.sleep(0)
    seats.refresh(client, "new")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    users.answers["new"].set_result(Access(users, "ann", expires_at=9999.0))
    for _ in range(5):
        await asyncio.sleep(0)
    users.answers["old"].set_exception(UnauthenticatedError())
    await looking
    assert seats.access(client).expires_at == 9999.0
    assert door.closed == []


async def test_a_slow_answer_about_one_user_keeps_nobody_else_waiting() -> None:
    users, door = SlowUsers(), Door()
    seats = seats_of(users, door)
    seats.take(a_client(1), "slow", Access(users, "ann"))
    seats.take(a_client(2), "quick", Access(users, "bob"))
    looking = asyncio.create_task(seats.look())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    users.answers["quick"].set_exception(UnauthenticatedError())
    for _ in range(5):
        await asyncio.sleep(0)
    assert door.closed == [("c-2", 4501)]
    users.answers["slow"].set_result(Access(users, "ann"))
    await looking


async def test_whoever_cannot_be_judged_by_a_mistake_of_ours_loses_the_connection() -> None:
    users, door = SlowUsers(), Door()
    seats = seats_of(users, door)
    seats.take(a_client(1), "t", Access(users, "ann"))
    users.answers["t"] = asyncio.get_running_loop().create_future()
    users.answers["t"].set_exception(ZeroDivisionError())
    await seats.look()
    assert door.closed == [("c-1", 1011)]
