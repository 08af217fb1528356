"""uv and git follow redirects and resolve names themselves: every connection of theirs goes through a check of ours."""

import asyncio
import base64
import platform
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fakes.index import FakeIndex, Fault, a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from fakes.sites import FakeSites
from fakes.sources import an_sdist, source_files
from repack_contract.reasons import Reason
from repack_contract.values import PackageIndex
from repack_worker import guard as guard_module
from repack_worker.addresses import AddressPolicy, Entry
from repack_worker.guard import NetworkGuard
from requirements import require, require_command
from secure_index import secure
from styles import a_repository, served


@pytest.fixture(autouse=True)
def _on_amd64() -> None:
    require(platform.machine() == "x86_64", "packages for amd64 are verified on an amd64 machine")


@pytest.fixture
def _git() -> None:
    require_command("git", install="apt-get install git")


@pytest.fixture
def outside():
    """A server that may be connected to; `index` is the one inside, that may not."""
    with FakeSites() as outside:
        yield outside


@pytest.fixture
def only_outside(settings, outside):
    allowed = [outside.base.removeprefix("http://")]
    return settings.but(allow_private_addresses=False, allowed_private_hosts=allowed)


def refused(result, index):
    assert result.reason == Reason.ADDRESS_REFUSED, result.message
    assert urlsplit(index.base).netloc in (result.message or "")
    assert "REPACK_ALLOWED_PRIVATE_HOSTS" in (result.hint or "")
    assert index.seen == [], "it was not even connected to"


async def test_a_redirect_of_an_index_does_not_lead_uv_inside(tmp_path, index, outside, only_outside, pack):
    index.add(a_wheel("tiny-sdk"))
    outside.fault("/simple/", Fault(status=302, headers={"Location": f"{index.url}/tiny-sdk/"}))
    result = await pack(
        a_package(tmp_path / "tiny.difypkg"), settings=only_outside, package_index=PackageIndex(url=outside.url)
    )
    refused(result, index)


async def test_a_page_of_an_index_does_not_lead_uv_inside(tmp_path, index, outside, only_outside, pack):
    """The page is outside, the files that it names are inside: uv would read their metadata."""
    index.add(sdk := a_wheel("tiny-sdk"))
    outside.add(sdk)
    outside.file_url = index.file_url  # type: ignore[method-assign]
    result = await pack(
        a_package(tmp_path / "tiny.difypkg"), settings=only_outside, package_index=PackageIndex(url=outside.url)
    )
    refused(result, index)


async def test_what_a_build_requires_does_not_lead_uv_inside(tmp_path, index, outside, only_outside, pack):
    outside.add(sdist := an_sdist("tiny-sdk", build_requires=("helper",)))
    outside.fault("/simple/helper", Fault(status=302, headers={"Location": f"{index.url}/helper/"}))
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT) | {"uv.lock": a_lock(outside, sdist)}
    result = await pack(
        a_package(tmp_path / "tiny.difypkg", files), settings=only_outside,
        package_index=PackageIndex(url=outside.url),
    )  # fmt: skip
    refused(result, index)


async def test_a_name_that_changes_its_address_gains_nothing(tmp_path, index, only_outside, pack, monkeypatch):
    """DNS rebinding: public when it was looked at, inside when uv connects; uv itself resolves nothing."""
    answers = iter(["93.184.216.34"])

    async def resolved(_host: str, _port: int) -> list[str]:
        return [next(answers, "127.0.0.1")]

    monkeypatch.setattr("repack_worker.fetch.resolved", resolved)
    monkeypatch.setattr(guard_module, "resolved", resolved)
    url = f"http://rebind.example:{urlsplit(index.base).port}/simple"
    result = await pack(
        a_package(tmp_path / "tiny.difypkg"), settings=only_outside, package_index=PackageIndex(url=url)
    )
    assert result.reason == Reason.ADDRESS_REFUSED, result.message
    assert "rebind.example" in (result.message or "")
    assert index.seen == []


def a_git_lock(outside, address):
    package = f'\n[[package]]\nname = "tiny-sdk"\nversion = "1.0"\nsource = {{ git = "{address}" }}\n'
    lock = a_lock(outside, needs=("tiny-sdk",)) + package
    return plugin_files(requirements=None, pyproject__toml=PYPROJECT) | {"uv.lock": lock}


@pytest.mark.usefixtures("_git")
@pytest.mark.parametrize("locked", [True, False])
async def test_a_redirect_of_a_repository_does_not_lead_git_inside(
    tmp_path, index, outside, only_outside, pack, locked
):
    """Fetched by us from a lock, and by the git that uv starts without one."""
    address = served(outside, tmp_path / "repository", source_files("tiny-sdk"))
    outside.fault("/info/refs", Fault(status=302, headers={"Location": f"{index.base}/files/tiny.git/info/refs"}))
    requirement = f"tiny-sdk @ git+{address.partition('#')[0]}\n"
    files = a_git_lock(outside, address) if locked else plugin_files(requirements=requirement)
    result = await pack(
        a_package(tmp_path / "tiny.difypkg", files), settings=only_outside,
        package_index=PackageIndex(url=outside.url),
    )  # fmt: skip
    refused(result, index)


def with_submodule(outside, folder: Path, url: str) -> str:
    """Serve a repository whose `part` is a submodule at an address; return `address#commit`."""
    pinned = a_repository_served(outside, folder / "part", {"part.txt": "of a submodule\n"}, "part.git")
    body = "files[f'{module}/part.txt'] = open('part/part.txt', 'rb').read()"
    (folder / "whole").mkdir()
    a_repository(folder / "whole", source_files("tiny-sdk", body=body))

    def call(*words: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@tests.invalid")
        done = subprocess.run(["git", *who, *words], cwd=folder / "whole", check=True, capture_output=True, text=True)
        return done.stdout.strip()

    (folder / "whole" / ".gitmodules").write_text(f'[submodule "part"]\n\tpath = part\n\turl = {url}\n')
    call("add", ".gitmodules")
    call("update-index", "--add", "--cacheinfo", f"160000,{pinned},part")
    call("commit", "--quiet", "-m", "with a submodule")
    call("update-server-info")
    serve(outside, folder / "whole", "tiny.git")
    return f"{outside.base}/files/tiny.git#{call('rev-parse', 'HEAD')}"


def a_repository_served(outside, folder: Path, files: dict[str, str], name: str) -> str:
    folder.mkdir()
    commit = a_repository(folder, files)
    serve(outside, folder, name)
    return commit


def serve(outside, folder: Path, name: str) -> None:
    for path in (folder / ".git").rglob("*"):
        if path.is_file():
            outside.add_file(f"{name}/{path.relative_to(folder / '.git')}", path.read_bytes())


@pytest.mark.usefixtures("_git")
@pytest.mark.parametrize("relative", [True, False])
async def test_the_submodules_of_a_repository_are_fetched(tmp_path, outside, only_outside, pack, relative):
    address = with_submodule(outside, tmp_path, "../part.git" if relative else f"{outside.base}/files/part.git")
    result = await pack(
        a_package(tmp_path / "tiny.difypkg", a_git_lock(outside, address)), settings=only_outside,
        package_index=PackageIndex(url=outside.url),
    )  # fmt: skip
    assert result.ok, result.message


@pytest.mark.usefixtures("_git")
async def test_a_submodule_does_not_lead_git_inside(tmp_path, index, outside, only_outside, pack):
    address = with_submodule(outside, tmp_path, f"{index.base}/files/part.git")
    result = await pack(
        a_package(tmp_path / "tiny.difypkg", a_git_lock(outside, address)), settings=only_outside,
        package_index=PackageIndex(url=outside.url),
    )  # fmt: skip
    refused(result, index)


@pytest.mark.usefixtures("_git")
@pytest.mark.parametrize("url", ["ext::touch MARK", "file://PART", "PART", "ssh://git.test/x", "git://git.test/x"])
async def test_a_submodule_by_another_protocol_is_refused_by_name(tmp_path, outside, only_outside, pack, url):
    url = url.replace("MARK", str(tmp_path / "mark")).replace("PART", str(tmp_path / "part" / ".git"))
    result = await pack(
        a_package(tmp_path / "tiny.difypkg", a_git_lock(outside, with_submodule(outside, tmp_path, url))),
        settings=only_outside, package_index=PackageIndex(url=outside.url),
    )  # fmt: skip
    assert result.reason == Reason.INDEX_UNREACHABLE, result.message
    assert "a submodule of" in (result.message or "")
    assert "https only" in (result.hint or "")
    assert not (tmp_path / "mark").exists()


@pytest.mark.usefixtures("_git")
async def test_uv_takes_no_submodule_from_our_own_disk_either(tmp_path, outside, only_outside, pack):
    """uv copies by a path itself, and its git may do that much and no more."""
    address = with_submodule(outside, tmp_path, f"file://{tmp_path}/part/.git").partition("#")[0]
    files = plugin_files(requirements=f"tiny-sdk @ git+{address}\n")
    result = await pack(
        a_package(tmp_path / "tiny.difypkg", files), settings=only_outside, package_index=PackageIndex(url=outside.url)
    )
    assert result.ok is False
    assert "transport 'file' not allowed" in (result.message or "")


@pytest.fixture
def proxied(monkeypatch):
    """The user's own proxy, which the environment names; it knows hosts that nobody else does."""
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with FakeSites() as proxy:
        monkeypatch.setenv("http_proxy", proxy.base.replace("http://", "http://me:hush@"))
        yield proxy


async def test_uv_gets_to_the_network_by_the_users_own_proxy(tmp_path, proxied, only_outside, pack, listener):
    proxied.add(a_wheel("tiny-sdk"))
    proxied.file_url = lambda wheel: f"http://files.invalid/packages/{wheel.filename}"  # type: ignore[method-assign]
    index = PackageIndex(url="http://index.invalid/simple")
    result = await pack(a_package(tmp_path / "tiny.difypkg"), settings=only_outside, package_index=index)
    assert result.ok, result.message
    asked = [seen for seen in proxied.seen if seen.path.startswith("http://index.invalid/simple/tiny-sdk")]
    known = f"Basic {base64.b64encode(b'me:hush').decode()}"
    assert {seen.headers.get("proxy-authorization") for seen in asked} == {known}
    assert "hush" not in listener.text


async def test_a_fault_of_the_network_is_named_though_uv_says_little_of_it(tmp_path, only_outside, pack):
    index = PackageIndex(url="https://index.invalid/simple")
    result = await pack(a_package(tmp_path / "tiny.difypkg"), settings=only_outside, package_index=index)
    assert result.reason == Reason.INDEX_UNREACHABLE, result.message
    assert "index.invalid is not known" in (result.message or "")


async def said(guard: NetworkGuard, request: str, *, known: bool = True) -> bytes:
    environment = await guard.environment()
    user = urlsplit(environment["HTTPS_PROXY"])
    line = base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
    reader, writer = await asyncio.open_connection("127.0.0.1", guard.port)
    head = f"Proxy-Authorization: Basic {line}\r\n" if known else ""
    writer.write(request.replace("HEADERS\r\n", head).encode())
    writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


def allowing(*servers: FakeIndex) -> AddressPolicy:
    return AddressPolicy(allowed=tuple(Entry.of_url(server.base) for server in servers))


async def test_programs_that_start_at_once_share_one_guard(index):
    async with NetworkGuard(allowing(index), lambda _url: None) as guard:
        environments = await asyncio.gather(*(guard.environment() for _ in range(5)))
        assert len({environment["http_proxy"] for environment in environments}) == 1


async def test_the_guard_serves_nobody_without_its_token(index):
    async with NetworkGuard(allowing(index), lambda _url: None) as guard:
        get = f"GET {index.add_file('x', b'content')} HTTP/1.1\r\nHost: x\r\nHEADERS\r\n\r\n"
        assert (await said(guard, get)).endswith(b"content")
        assert (await said(guard, get, known=False)).startswith(b"HTTP/1.1 407 ")
        assert len(index.seen) == 1
        assert "proxy-authorization" not in index.seen[0].headers, "the token stays here"
        for nonsense in ("GET / HTTP/1.1\r\nHEADERS\r\n\r\n", "CONNECT  HTTP/1.1\r\nHEADERS\r\n\r\n", "x" * 100_000):
            assert (await said(guard, nonsense)).partition(b" ")[2][:3] in {b"400", b""}


async def test_a_connection_is_for_one_request_and_a_second_one_does_not_reach_its_server(index):
    """It may be for another server and carry the credentials of that one."""
    async with NetworkGuard(allowing(index), lambda _url: None) as guard:
        get = f"GET {index.add_file('x', b'content')} HTTP/1.1\r\nHost: x\r\nHEADERS\r\n\r\n"
        answer = await said(guard, get + get.replace("/files/x", "/files/secret"))
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"content")
        assert [seen.path for seen in index.seen] == ["/files/x"]


async def test_a_tunnel_is_made_through_the_users_own_proxy_and_to_nowhere_else(monkeypatch):
    """The name is one that only the proxy knows; the proxy that refuses is named."""
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(head := await reader.readuntil(b"\r\n\r\n"))
        if b"forbidden" in head:
            writer.write(b"HTTP/1.1 403 Not for you\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            writer.write((await reader.read()).upper())
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, NetworkGuard(AddressPolicy(), lambda _url: f"http://me:hush@127.0.0.1:{port}") as guard:
        answer = await said(guard, "CONNECT index.invalid:443 HTTP/1.1\r\nHEADERS\r\n\r\nhello")
        assert answer == b"HTTP/1.1 200 Connection established\r\n\r\nHELLO"
        assert heard[0].startswith(b"CONNECT index.invalid:443 HTTP/1.1\r\n")
        assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me:hush") in heard[0]
        assert (await said(guard, "CONNECT forbidden.invalid:443 HTTP/1.1\r\nHEADERS\r\n\r\n")).startswith(
            b"HTTP/1.1 502"
        )
        assert "says 403 Not for you" in guard.explanation
        assert "hush" not in guard.explanation
        assert (await said(guard, "CONNECT localhost:443 HTTP/1.1\r\nHEADERS\r\n\r\n")).startswith(b"HTTP/1.1 403")
        assert len(heard) == 2, "a name that leads inside is not asked of the proxy"


async def test_uv_trusts_the_certificate_of_a_private_authority_through_the_guard(
    tmp_path, index, settings, pack, monkeypatch
):
    with secure(index, tmp_path) as (base, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        index.add(a_wheel("tiny-sdk"))
        index.file_url = lambda wheel: f"{base}/packages/{wheel.filename}"  # type: ignore[method-assign]
        result = await pack(
            a_package(tmp_path / "tiny.difypkg"),
            settings=settings.but(allow_private_addresses=True),
            package_index=PackageIndex(url=f"{base}/simple"),
        )
    assert result.ok, result.message


@pytest.mark.usefixtures("_git")
async def test_git_trusts_the_certificate_of_a_private_authority_through_the_guard(
    tmp_path, index, settings, pack, monkeypatch
):
    address = served(index, tmp_path / "repository", source_files("tiny-sdk"))
    with secure(index, tmp_path) as (base, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        files = a_git_lock(index, address.replace(index.base, base))
        result = await pack(a_package(tmp_path / "tiny.difypkg", files))
    assert result.ok, result.message
