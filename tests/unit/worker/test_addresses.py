"""Nothing that others name leads inside: not their address, not a redirect, not a name that changes its address."""

import asyncio
import json
from ipaddress import ip_address
from typing import Any

import pytest

from fakes.index import FakeIndex, Fault, a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from fakes.sites import FakeSites
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.values import PackageIndex
from repack_worker import connecting
from repack_worker.addresses import AddressPolicy, Entry, is_public
from repack_worker.connecting import connected
from repack_worker.fetch import Download, Fetcher
from repack_worker.settings import Settings, load_settings
from repack_worker.sources import UrlSource
from secure_index import secure


@pytest.fixture
def settings(settings):
    return settings.but(allow_private_addresses=False)


async def get(url: str, settings: Settings, tmp_path, **more: Any) -> bytes:
    target = tmp_path / "file"
    async with Fetcher(settings) as fetcher:
        await fetcher.download(Download(url=url, target=target, what="The plugin", limit=1000, **more))
    return target.read_bytes()


async def refused(url: str, settings: Settings, tmp_path) -> RepackError:
    with pytest.raises(RepackError) as caught:
        await get(url, settings, tmp_path)
    assert caught.value.reason is Reason.ADDRESS_REFUSED, caught.value
    assert "REPACK_ALLOWED_PRIVATE_HOSTS" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
    return caught.value


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("151.101.0.223", True), ("2606:4700::1", True),
        ("203.0.113.80", True), ("2001:db8::1", True), ("64:ff9b::9765:df", True), ("2002:9765:df::1", True),
        ("127.0.0.1", False), ("127.1.2.3", False), ("0.0.0.0", False), ("10.0.0.1", False), ("172.16.0.1", False),
        ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False), ("198.18.0.1", False),
        ("224.0.0.1", False), ("255.255.255.255", False), ("::", False), ("::1", False), ("fe80::1", False),
        ("fd00::1", False), ("fec0::1", False), ("ff02::1", False), ("::ffff:10.0.0.1", False),
        ("::ffff:151.101.0.223", True), ("64:ff9b::7f00:1", False), ("2002:7f00:1::1", False),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", False),
    ],
)  # fmt: skip
def test_an_address_is_public_or_not_also_where_one_carries_another(address, public):
    assert is_public(ip_address(address)) is public


@pytest.mark.parametrize(
    ("entry", "host", "port", "address", "allowed"),
    [
        ("10.0.0.0/8", "nexus.corp", 443, "10.1.2.3", True),
        ("10.0.0.0/8", "nexus.corp", 443, "192.168.0.1", False),
        ("10.1.2.3", "nexus.corp", 443, "10.1.2.3", True),
        ("nexus.corp", "NEXUS.corp.", 443, "10.1.2.3", True),
        ("nexus.corp", "evil-nexus.corp", 443, "10.1.2.3", False),
        ("nexus.corp:8081", "nexus.corp", 8081, "10.1.2.3", True),
        ("nexus.corp:8081", "nexus.corp", 22, "10.1.2.3", False),
        ("[fd00::1]:80", "fd00::1", 80, "fd00::1", True),
    ],
)
def test_what_was_allowed_is_allowed_and_nothing_beside_it(entry, host, port, address, allowed):
    policy = AddressPolicy(allowed=(Entry.read(entry),))
    assert policy.permits(host, port, ip_address(address)) is allowed


@pytest.mark.parametrize("entry", ["http://nexus.corp/", "user@nexus", "", "nexus:port"])
def test_an_entry_that_is_none_is_refused_when_the_settings_are_read(entry, monkeypatch):
    monkeypatch.setenv("REPACK_ALLOWED_PRIVATE_HOSTS", json.dumps([entry]))
    with pytest.raises(RepackError, match="REPACK_ALLOWED_PRIVATE_HOSTS is wrong"):
        load_settings()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_no_spelling_of_this_machine_is_connected_to(tmp_path, settings, index, host):
    port = index.base.rpartition(":")[2]
    error = await refused(f"http://{host}:{port}/files/x", settings, tmp_path)
    assert "127.0.0.1" in error.message or "0.0.0.0" in error.message
    assert index.seen == []


async def test_a_redirect_inside_is_refused_before_it_is_followed(tmp_path, settings, index):
    inside = index.add_file("secret", b"secret")
    with FakeIndex() as outside:
        url = outside.add_file("x.difypkg", b"")
        outside.fault("x.difypkg", Fault(status=302, headers={"Location": inside}))
        allowed = settings.but(allowed_private_hosts=[outside.base.removeprefix("http://")])
        await refused(url, allowed, tmp_path)
        assert len(outside.seen) == 1
    assert index.seen == []


async def test_a_redirect_to_an_address_that_was_allowed_is_followed(tmp_path, settings, index):
    target = index.add_file("there", b"content")
    index.fault("/files/first", Fault(status=302, headers={"Location": target}))
    allowed = settings.but(allowed_private_hosts=["127.0.0.0/8"])
    assert await get(index.add_file("first", b""), allowed, tmp_path) == b"content"


async def test_servers_that_the_settings_name_are_allowed(tmp_path, settings, index):
    named = settings.but(index_url=index.url)
    assert await get(index.add_file("x", b"content"), named, tmp_path) == b"content"


async def test_our_own_server_may_be_anywhere_but_may_not_send_us_on(tmp_path, settings, index):
    url = index.add_file("x", b"content")
    assert await get(url, settings, tmp_path, own=True) == b"content"
    index.fault("/files/x", Fault(status=302, headers={"Location": "http://169.254.169.254/"}))
    with pytest.raises(RepackError, match="redirects, which our own server never does"):
        await get(url, settings, tmp_path, own=True)


async def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(monkeypatch):
    """DNS rebinding: the second answer would be this machine, and nobody asks a second time."""
    answers, asked = [["93.184.216.34", "10.0.0.7"], ["127.0.0.1"]], []

    async def resolved(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    async def connect(_loop: object, _sock: object, address: tuple[str, int]) -> None:
        asked.append(address)
        raise OSError("this network leads nowhere")

    monkeypatch.setattr(connecting, "resolved", resolved)
    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", connect)
    with pytest.raises(OSError, match="leads nowhere"):
        await connected("rebind.example", 80, policy=AddressPolicy(), seconds=5)
    assert asked == [("93.184.216.34", 80)], "the public one only, by its number"
    with pytest.raises(RepackError, match=r"rebind\.example:80, which is 127\.0\.0\.1, is an address of this machine"):
        await connected("rebind.example", 80, policy=AddressPolicy(), seconds=5)
    assert len(asked) == 1


async def test_a_plugin_cannot_name_a_wheel_inside_the_cluster(tmp_path, settings, index, pack):
    sdk = a_wheel("tiny-sdk")
    index.add(sdk)
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    files["uv.lock"] = a_lock(index, sdk)
    result = await pack(a_package(tmp_path / "tiny.difypkg", files), settings=settings, package_index=None)
    assert result.reason == Reason.ADDRESS_REFUSED
    assert index.seen == []


async def test_a_task_cannot_name_an_index_inside_the_cluster(tmp_path, settings, index, pack):
    index.add(a_wheel("tiny-sdk"))
    named = PackageIndex(extra_urls=[index.url])
    result = await pack(a_package(tmp_path / "tiny.difypkg"), settings=settings, package_index=named)
    assert result.reason == Reason.ADDRESS_REFUSED
    assert index.seen == []


@pytest.fixture
def proxied(monkeypatch):
    """A proxy, which the environment names; it answers for every host."""
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with FakeSites() as proxy:
        proxy.add_page("/x.difypkg", b"by the proxy")
        monkeypatch.setenv("http_proxy", proxy.base)
        yield proxy


async def test_a_name_that_only_the_proxy_knows_is_fetched_by_the_proxy(tmp_path, settings, proxied):
    assert await get("http://files.invalid/x.difypkg", settings, tmp_path) == b"by the proxy"
    assert [seen.path for seen in proxied.seen] == ["http://files.invalid/x.difypkg"]


async def test_a_proxy_is_no_way_inside(tmp_path, settings, proxied):
    await refused("http://169.254.169.254/latest/meta-data", settings, tmp_path)
    await refused("http://localhost/x.difypkg", settings, tmp_path)
    assert proxied.seen == []


async def test_what_is_not_to_go_by_the_proxy_does_not(tmp_path, settings, index, proxied, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    allowed = settings.but(allowed_private_hosts=["127.0.0.1"])
    assert await get(index.add_file("x", b"direct"), allowed, tmp_path) == b"direct"
    assert proxied.seen == []


async def test_our_own_server_is_never_asked_by_the_proxy(tmp_path, settings, index, proxied):
    assert await get(index.add_file("x", b"direct"), settings, tmp_path, own=True) == b"direct"
    assert proxied.seen == []


@pytest.fixture(name="secure")
def _secure(index, tmp_path_factory):
    """The index behind TLS with a certificate of its own; the path of that certificate."""
    with secure(index, tmp_path_factory.mktemp("tls")) as served:
        yield served


async def test_a_private_certificate_authority_is_believed_when_it_is_named(
    tmp_path, settings, index, secure, monkeypatch
):
    base, certificate = secure
    index.add_file("x", b"content")
    allowed = settings.but(allowed_private_hosts=["127.0.0.1"])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert await get(f"{base}/files/x", allowed, tmp_path) == b"content"


async def test_a_certificate_that_nobody_vouches_for_is_refused_by_name(tmp_path, settings, index, secure, monkeypatch):
    base, _ = secure
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    index.add_file("x", b"content")
    allowed = settings.but(allowed_private_hosts=["127.0.0.1"], download_attempts=1)
    with pytest.raises(RepackError, match="certificate verify failed") as caught:
        await get(f"{base}/files/x", allowed, tmp_path)
    assert caught.value.reason is Reason.INDEX_UNREACHABLE
    assert "SSL_CERT_FILE" in caught.value.hint


async def test_a_url_source_is_held_to_the_same_rules(tmp_path, settings, index, pack):
    result = await pack(tmp_path, source=UrlSource(index.add_file("x.difypkg", b"")), settings=settings)
    assert result.reason == Reason.ADDRESS_REFUSED
    assert result.hint


@pytest.mark.parametrize("protocol", ["", "git+"])
async def test_an_address_in_the_requirements_does_not_lead_inside(tmp_path, settings, index, pack, protocol):
    named = settings.but(index_url=None)
    address = f"{protocol}{index.base}/x-1.0-py3-none-any.whl"
    files = plugin_files(requirements=f"x @ {address}\n")
    result = await pack(a_package(tmp_path / "tiny.difypkg", files), settings=named, package_index=None)
    assert result.reason == Reason.ADDRESS_REFUSED
    assert index.seen == []
