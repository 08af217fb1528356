"""Downloads of signed-in users by a plain link: a ticket for one file, in a cookie, that survives a cut line."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from builders import a_task_object
from fakes.proxy import FaultProxy
from fakes.reviews import Known, ReviewingApi
from fakes.task_api import FakeTaskApi
from repack_dashboard.tickets import is_file
from requirements import require_command
from running_dashboard import SENDER, Dashboard, a_dashboard, until

SECRET = "the-shared-token-of-the-users"
ZIP = b"PK\x03\x04" + bytes(range(256)) * 40_000
FILE = "/api/v1/artifacts/uid-1/demo-offline.difypkg"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def with_package(dashboard: Dashboard, uid: str = "uid-1", *, namespace: str = "default") -> None:
    """Let a task have succeeded with one package."""
    sha256 = hashlib.sha256(ZIP).hexdigest()
    path = f"/api/v1/ingest/artifacts/{uid}/1/amd64/demo-offline.difypkg"
    answer = await dashboard.http.put(path, content=ZIP, headers=SENDER | {"X-Content-SHA256": sha256})
    assert answer.status_code == 201, answer.text
    artifact = {"target": "amd64", "name": "demo-offline.difypkg", "uri": answer.json()["uri"], "sha256": sha256}
    status = {"phase": "Succeeded", "sequence": 9, "attempt": 1, "artifacts": [artifact]}
    getattr(dashboard.api, "behind", dashboard.api).put(
        a_task_object(name=f"of-{uid}", uid=uid, namespace=namespace, status=status)
    )
    await dashboard.services.relist.refresh()


async def a_ticket(dashboard: Dashboard, token: str, path: str = FILE) -> httpx.Response:
    """Ask as the page does; the cookies stay out of the shared client."""
    async with httpx.AsyncClient(base_url=dashboard.http.base_url, trust_env=False) as browser:
        return await browser.post("/api/v1/downloads", json={"path": path}, headers=bearer(token))


def cookie_of(answer: httpx.Response) -> str:
    """Return the ticket as a browser sends it."""
    return answer.headers["set-cookie"].partition(";")[0]


async def fetch(dashboard: Dashboard, path: str, cookie: str) -> httpx.Response:
    """Follow a plain link, with a cookie and no header that says who asks."""
    return await dashboard.http.get(path, headers={"Cookie": cookie})


@pytest.fixture
async def guarded(tmp_path: Path, api: FakeTaskApi) -> AsyncIterator[Dashboard]:
    file = tmp_path / "token"
    file.write_text(SECRET)
    async with a_dashboard(tmp_path, api=api, auth_mode="token", auth_token_file=file) as running:
        await with_package(running)
        yield running


async def test_a_ticket_brings_the_one_file_that_it_was_made_for_and_nothing_else(guarded: Dashboard) -> None:
    given = await a_ticket(guarded, SECRET)
    assert (given.status_code, given.content) == (204, b"")
    cookie = cookie_of(given)
    assert (await fetch(guarded, FILE, cookie)).content == ZIP
    for other in (f"{FILE}/report.json", "/api/v1/tasks", "/api/v1/archive?task=uid-1", "/api/v1/tasks/uid-1/log.txt"):
        assert (await fetch(guarded, other, cookie)).status_code == 401, other


async def test_the_cookie_is_for_no_script_no_other_page_and_no_other_address(guarded: Dashboard) -> None:
    header = (await a_ticket(guarded, SECRET)).headers["set-cookie"]
    name, _, rest = header.partition("=")
    assert name.startswith("repack-download-")
    assert {"HttpOnly", "SameSite=strict", f"Path={FILE}", "Max-Age=3600"} <= set(rest.split("; "))
    assert "Secure" not in header
    assert SECRET not in header
    async with httpx.AsyncClient(base_url=guarded.http.base_url, trust_env=False) as browser:
        headers = bearer(SECRET) | {"Origin": f"https://{guarded.address}"}
        safe = await browser.post("/api/v1/downloads", json={"path": FILE}, headers=headers)
    assert "Secure" in safe.headers["set-cookie"]


async def test_a_cut_download_goes_on_by_the_same_ticket_and_the_file_is_whole(
    guarded: Dashboard, tmp_path: Path
) -> None:
    curl = require_command("curl", install="apt-get install curl")
    ticket = cookie_of(await a_ticket(guarded, SECRET))
    half = tmp_path / "half.difypkg"
    host, _, port = guarded.address.partition(":")
    with FaultProxy((host, int(port))) as proxy:
        address = proxy.url + FILE
        options = ("-sS", "--noproxy", "*", "-H", f"Cookie: {ticket}", "-o", str(half))
        first = await asyncio.create_subprocess_exec(curl, *options, "--limit-rate", "2M", address)
        await until(lambda: half.exists() and half.stat().st_size, "curl writes what it gets")
        proxy.cut()
        assert await first.wait() != 0
        assert 0 < half.stat().st_size < len(ZIP)
        second = await asyncio.create_subprocess_exec(curl, *options, "-f", "-C", "-", address)
        assert await second.wait() == 0
    assert half.read_bytes() == ZIP


async def test_logs_and_archives_have_tickets_too(guarded: Dashboard) -> None:
    archive = "/api/v1/archive?task=uid-1"
    cookie = cookie_of(await a_ticket(guarded, SECRET, archive))
    assert (await fetch(guarded, archive, cookie)).content[:4] == b"PK\x03\x04"
    assert (await fetch(guarded, "/api/v1/archive?task=uid-2", cookie)).status_code == 401


async def test_a_ticket_that_is_over_altered_or_of_a_replaced_token_opens_nothing(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    file = tmp_path / "token"
    file.write_text(SECRET)
    options = {"auth_mode": "token", "auth_token_file": file}
    async with a_dashboard(tmp_path, api=api, download_ticket_seconds=0.5, **options) as short:
        await with_package(short)
        over = cookie_of(await a_ticket(short, SECRET))
        await asyncio.sleep(1.1)  # tickets end at whole seconds
        assert (await fetch(short, FILE, over)).status_code == 401
    async with a_dashboard(tmp_path, api=api, **options) as running:
        name, _, ticket = cookie_of(await a_ticket(running, SECRET)).partition("=")
        assert (await fetch(running, FILE, f"{name}={ticket}")).status_code == 200
        for wrong in ("", "x", "x.y", ticket[:-2], "A" + ticket, ticket.partition(".")[2]):
            assert (await fetch(running, FILE, f"{name}={wrong}")).status_code == 401
        file.write_text("another-token-of-the-users")
        assert (await fetch(running, FILE, f"{name}={ticket}")).status_code == 401


async def test_a_ticket_outlives_the_dashboard_and_another_replica_knows_it(tmp_path: Path, api: FakeTaskApi) -> None:
    options = {"auth_mode": "token", "auth_token": SECRET}
    async with a_dashboard(tmp_path, api=api, **options) as one:
        await with_package(one)
        cookie = cookie_of(await a_ticket(one, SECRET))
    async with a_dashboard(tmp_path, api=api, **options) as another:
        assert (await fetch(another, FILE, cookie)).content == ZIP
    key = tmp_path / "data" / "tickets.key"
    assert (key.stat().st_mode & 0o777, len(key.read_bytes())) == (0o600, 32)


async def test_rights_that_are_gone_make_a_ticket_worth_nothing(tmp_path: Path) -> None:
    cluster = ReviewingApi(FakeTaskApi())
    cluster.tokens = {"ann": Known("ann")}
    cluster.allow("ann", "list", namespace="mine")
    async with a_dashboard(tmp_path, api=cluster, auth_mode="kubernetes", auth_cache_seconds=0) as judged:
        cluster.behind.put(a_task_object(name="of-uid-1", uid="uid-1", namespace="mine"))
        await judged.services.relist.refresh()
        await with_package(judged, namespace="mine")
        cookie = cookie_of(await a_ticket(judged, "ann"))
        assert (await fetch(judged, FILE, cookie)).content == ZIP
        cluster.rights.clear()
        assert (await fetch(judged, FILE, cookie)).status_code == 404


async def test_a_user_of_too_many_claims_is_told_so_and_gets_no_cookie_that_browsers_drop(tmp_path: Path) -> None:
    cluster = ReviewingApi(FakeTaskApi())
    cluster.tokens = {"ann": Known("ann", extra={"scopes": [f"scope-number-{number:04d}" for number in range(400)]})}
    cluster.allow("ann", "list", namespace="*")
    async with a_dashboard(tmp_path, api=cluster, auth_mode="kubernetes") as judged:
        answer = await a_ticket(judged, "ann")
        assert (answer.status_code, answer.headers.get("set-cookie")) == (413, None)


async def test_where_nobody_is_asked_no_cookie_is_set(dashboard: Dashboard) -> None:
    answer = await dashboard.http.post("/api/v1/downloads", json={"path": FILE})
    assert (answer.status_code, answer.headers.get("set-cookie")) == (204, None)


@pytest.mark.parametrize(
    "path", ["/api/v1/tasks", "/", "/api/v1/artifacts/uid-1/x; Domain=evil.test", "https://evil.test/x",
             "/api/v1/artifacts/uid-1/../../tasks", "/api/v1/tasks/uid-1/log"],
)  # fmt: skip
async def test_only_files_have_tickets(guarded: Dashboard, path: str) -> None:
    answer = await a_ticket(guarded, SECRET, path)
    assert (answer.status_code, answer.headers.get("set-cookie")) == (422, None)
    assert not is_file(path)
