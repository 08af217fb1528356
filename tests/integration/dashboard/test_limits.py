"""Limits of connections over real sockets: how they end, and that they end together with what they count."""

import asyncio
from pathlib import Path

import pytest

from fakes.reviews import Known, ReviewingApi
from fakes.task_api import FakeTaskApi
from running_dashboard import a_dashboard, close_code, next_message, until


async def test_the_connections_of_one_address_are_bounded_and_only_a_configured_proxy_names_another(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    named = {"X-Forwarded-For": "198.51.100.1"}
    async with a_dashboard(tmp_path, api=api, max_connections_per_address=1) as dashboard:
        async with dashboard.socket("/ws/tasks?v=1") as first:
            await next_message(first)
            async with dashboard.socket("/ws/tasks?v=1", additional_headers=named) as second:
                assert await close_code(second) == 4029
        assert await dashboard.metric('repack_ws_rejected_total{reason="4029"}') == 1
        await until(lambda: len(dashboard.services.hub) == 0, "the first is gone")
        async with dashboard.socket("/ws/tasks?v=1") as again:
            assert (await next_message(again))["type"] == "hello"
    proxies = ["127.0.0.0/8"]
    async with (
        a_dashboard(tmp_path, api=api, max_connections_per_address=1, trusted_proxies=proxies) as dashboard,
        dashboard.socket("/ws/tasks?v=1", additional_headers=named) as first,
        dashboard.socket("/ws/tasks?v=1") as other,
    ):
        assert [(await next_message(one))["type"] for one in (first, other)] == ["hello", "hello"]


async def test_the_connections_of_one_user_are_bounded_and_those_of_others_are_not(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    cluster = ReviewingApi(api)
    cluster.tokens = {"ann": Known("ann"), "bob": Known("bob")}
    cluster.allow("ann", "list", namespace="*")
    cluster.allow("bob", "list", namespace="*")
    settings = {"auth_mode": "kubernetes", "max_connections_per_user": 1}
    ann, bob = ({"Authorization": f"Bearer {name}"} for name in ("ann", "bob"))
    async with (
        a_dashboard(tmp_path, api=cluster, **settings) as dashboard,
        dashboard.socket("/ws/tasks?v=1", additional_headers=ann) as first,
    ):
        await next_message(first)
        async with dashboard.socket("/ws/tasks?v=1", additional_headers=ann) as second:
            assert await close_code(second) == 4505
        async with dashboard.socket("/ws/tasks?v=1", additional_headers=bob) as other:
            assert (await next_message(other))["type"] == "hello"


async def test_many_who_come_at_once_do_not_slip_in_together(tmp_path: Path, api: FakeTaskApi) -> None:
    async def come() -> str:
        async with dashboard.socket("/ws/tasks/uid-1?v=1") as socket:
            try:
                await next_message(socket)
            except Exception:
                return "refused"
            await asyncio.wait_for(full.wait(), 20)
            return "in"

    full = asyncio.Event()
    async with a_dashboard(tmp_path, api=api, max_connections=5) as dashboard:
        tasks = [asyncio.create_task(come()) for _ in range(20)]
        await until(lambda: sum(task.done() for task in tasks) == 15, "all but five are refused")
        full.set()
        assert sorted(await asyncio.gather(*tasks)) == ["in"] * 5 + ["refused"] * 15


@pytest.mark.parametrize("way", ["whole", "in parts", "packed"])
async def test_a_message_above_the_limit_closes_with_1009_however_it_comes(
    tmp_path: Path, api: FakeTaskApi, way: str
) -> None:
    """In parts no frame is too long by itself; packed, half a megabyte is a few hundred bytes on the line."""
    async with (
        a_dashboard(tmp_path, api=api, compress=True) as dashboard,
        dashboard.socket("/ws/tasks?v=1", compression="deflate" if way == "packed" else None) as socket,
    ):
        await next_message(socket)
        too_long = "y" * (500_000 if way == "packed" else 70_000)
        await socket.send([too_long[start : start + 7_000] for start in range(0, 70_000, 7_000)]
                          if way == "in parts" else too_long)  # fmt: skip
        assert await close_code(socket) == 1009
        async with dashboard.socket("/ws/tasks?v=1") as other:
            assert (await next_message(other))["type"] == "hello"
