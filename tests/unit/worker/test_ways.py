"""The way to a server: addresses as they are written and as they are asked for, proxies, TLS and whom it believes."""

import ssl
from pathlib import Path

import pytest

from fakes.scripted_server import ScriptedServer, an_answer
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.connecting import trusted
from repack_worker.fetch import Download, Fetcher
from repack_worker.web_url import NoWebUrlError, WebUrl
from secure_index import secure

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
ESTABLISHED = an_answer(b"")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.fixture
def settings(settings):
    return settings.but(download_attempts=1)


async def get(url: str, settings, tmp_path) -> bytes:
    target = tmp_path / "file"
    async with Fetcher(settings) as fetcher:
        await fetcher.download(Download(url=url, target=target, what="The plugin", limit=1000))
    return target.read_bytes()


@pytest.mark.parametrize(
    ("text", "host", "asked"),
    [
        ("http://bücher.example/ü?q=ü#ü", "xn--bcher-kva.example", "http://xn--bcher-kva.example/%C3%BC?q=%C3%BC"),
        ("HTTP://EXAMPLE.org", "example.org", "http://example.org/"),
        ("http://example.org:80/a b{}", "example.org", "http://example.org/a%20b%7B%7D"),
        ("https://example.org:443/%7e%zz", "example.org", "https://example.org/%7e%zz"),
        ("https://user:word@example.org:8443/?a={}&b", "example.org", "https://example.org:8443/?a={}&b"),
        ("http://[::1]:8080/x", "::1", "http://[::1]:8080/x"),
        ("http://[2001:DB8::1]/x", "2001:db8::1", "http://[2001:db8::1]/x"),
        ("http://a.example\\@b.example/", "b.example", "http://b.example/"),
        ("http://127.1/x", "127.1", "http://127.1/x"),
        ("http://under_score.corp./x", "under_score.corp.", "http://under_score.corp./x"),
    ],
)
def test_an_address_is_encoded_as_a_request_needs_it(text, host, asked):
    url = WebUrl.read(text)
    assert (url.host, str(url)) == (host, asked)
    assert "word" not in repr(url)


@pytest.mark.parametrize(
    "text",
    [
        "", "x.difypkg", "ftp://example.org/", "http://", "http:///x", "http://[::1/x", "http://[1]/", "http://1.2.3.999/",
        "http://a b/", " http://example.org/", "http://example.org/\r\nX-Injected: yes", "http://exam\tple.org/",
        "http://example.org/\x00", "http://example.org:99999/", "http://example.org:port/", "http://a%0d%0ab/",
        "ftp://example.org:80/", "http://\ud800.example/", "http://example.org/\ud800", "http://ex\N{ACCOUNT OF}.org/",
        "http://-ü-.example/", "http://example.org/" + "x" * 70_000,
    ],
)  # fmt: skip
def test_what_is_no_address_of_the_web_is_refused(text):
    with pytest.raises(NoWebUrlError):
        WebUrl.read(text)


@pytest.mark.parametrize(
    ("before", "after", "may"),
    [
        ("http://a.example/x", "http://a.example:80/y", True),
        ("http://a.example/x", "https://a.example/x", True),
        ("http://a.example:8080/x", "https://a.example/x", False),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example/x", "https://a.example:8443/x", False),
        ("https://a.example/x", "https://b.example/x", False),
        ("https://a.example/x", "https://b.a.example/x", False),
    ],
)
def test_credentials_stay_with_their_server_and_its_upgrade_to_tls(before, after, may):
    assert WebUrl.read(before).joined(after).may_know_what_is_for(WebUrl.read(before)) is may


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/b", "http://a.example/b"), ("c?d", "http://a.example/x/c?d"), ("//b.example", "http://b.example/"),
        ("?q", "http://a.example/x/y?q"), ("../z", "http://a.example/z"), ("http:///z", "http://a.example/z"),
        ("/ü b", "http://a.example/%C3%BC%20b"),
    ],
)  # fmt: skip
def test_a_redirect_is_read_from_where_it_was_met(location, leads_to):
    assert str(WebUrl.read("http://a.example/x/y").joined(location)) == leads_to


async def test_a_location_in_utf8_is_followed(settings, tmp_path):
    with ScriptedServer(an_answer(b"", "Location: /ü", status="302 Found"), an_answer(b"x")) as server:
        await get(f"{server.base}/x", settings, tmp_path)
    assert server.requests[1].startswith(b"GET /%C3%BC HTTP/1.1")


async def test_a_proxy_is_asked_for_the_whole_address_and_told_who_asks(settings, tmp_path, environment):
    with ScriptedServer(an_answer(b"by the proxy")) as proxy:
        environment.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        assert await get("http://files.invalid:81/x?y", settings, tmp_path) == b"by the proxy"
    lines = proxy.requests[0].decode().lower().split("\r\n")
    assert lines[0] == "get http://files.invalid:81/x?y http/1.1"
    assert "host: files.invalid:81" in lines
    assert "proxy-authorization: basic bwu6cebzcw==" in lines
    assert not any(line.startswith("authorization:") for line in lines)


@pytest.fixture(name="secure")
def _secure(index, tmp_path_factory):
    """The index behind TLS with a certificate of its own, and the folder of that certificate."""
    folder = tmp_path_factory.mktemp("tls")
    index.add_file("x", b"content")
    with secure(index, folder) as (base, authority):
        yield base, authority


def tls_of(authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.with_name("server.pem"))
    return context


@pytest.mark.parametrize("by_tls", [False, True], ids=["a plain proxy", "a proxy by TLS"])
async def test_a_tunnel_is_asked_of_a_proxy_which_learns_nothing_else(settings, tmp_path, environment, secure, by_tls):
    base, authority = secure
    environment.setenv("SSL_CERT_FILE", str(authority))
    with ScriptedServer(ESTABLISHED, tls=tls_of(authority) if by_tls else None) as proxy:
        environment.setenv("https_proxy", proxy.base.replace("://", "://me:word@"))
        settings = settings.but(index_url=base)
        async with Fetcher(settings) as fetcher:
            for name in ("one", "two"):
                order = Download(f"{base}/files/x", tmp_path / name, "The plugin", 1000, headers={"X-Ours": "secret"})
                await fetcher.download(order)
                assert order.target.read_bytes() == b"content"
    server = base.removeprefix("https://")
    [asked] = proxy.requests
    assert asked.startswith(f"CONNECT {server} HTTP/1.1\r\n".encode())
    assert b"Proxy-Authorization: Basic bWU6d29yZA==\r\n" in asked
    assert b"secret" not in asked


async def test_a_plain_address_goes_by_a_proxy_that_is_reached_by_tls(settings, tmp_path, environment, secure):
    environment.setenv("SSL_CERT_FILE", str(secure[1]))
    with ScriptedServer(an_answer(b"by the proxy"), tls=tls_of(secure[1])) as proxy:
        environment.setenv("http_proxy", proxy.base)
        assert await get("http://files.invalid/x", settings, tmp_path) == b"by the proxy"


async def test_a_proxy_that_refuses_a_tunnel_is_named_without_its_password(settings, tmp_path, environment):
    with ScriptedServer(an_answer(b"no", status="407 Proxy Authentication Required")) as proxy:
        environment.setenv("https_proxy", f"http://me:word@127.0.0.1:{proxy.port}")
        with pytest.raises(RepackError, match=rf"the proxy http://127.0.0.1:{proxy.port}/ answers 407 Proxy") as caught:
            await get("https://files.invalid/x", settings, tmp_path)
    assert caught.value.reason is Reason.INDEX_UNREACHABLE
    assert "word" not in caught.value.message


@pytest.mark.parametrize("proxy", ["socks5://me:word@127.0.0.1:1080", "http://pro xy:3128", "http://me:word@[::1"])
async def test_a_proxy_that_cannot_be_used_says_what_to_do(settings, tmp_path, environment, proxy):
    environment.setenv("all_proxy", proxy)
    with pytest.raises(RepackError, match="cannot be used") as caught:
        await get("http://files.invalid/x", settings, tmp_path)
    assert "http://" in caught.value.hint
    assert "word" not in caught.value.message


async def test_a_certificate_for_another_name_is_refused(settings, tmp_path, environment, secure):
    base, authority = secure
    environment.setenv("SSL_CERT_FILE", str(authority))
    with pytest.raises(RepackError, match=r"certificate verify failed.*localhost"):
        await get(f"{base.replace('127.0.0.1', 'localhost')}/files/x", settings, tmp_path)


async def test_a_server_without_tls_where_it_is_asked_for_cannot_be_reached(settings, tmp_path, index):
    with pytest.raises(RepackError, match="the server could not be reached") as caught:
        await get(f"{index.base.replace('http', 'https', 1)}/files/x", settings, tmp_path)
    assert caught.value.reason is Reason.INDEX_UNREACHABLE


async def test_a_server_that_never_ends_the_tls_handshake_gave_no_connection(settings, tmp_path):
    class Silent(ScriptedServer):
        def _serve(self, connection) -> None:
            with connection:
                while connection.recv(4096):
                    pass

    settings = settings.but(connect_timeout_seconds=0.5)
    with Silent() as server, pytest.raises(RepackError, match="no connection within") as caught:
        await get(f"https://127.0.0.1:{server.port}/x", settings, tmp_path)
    assert caught.value.reason is Reason.INDEX_UNREACHABLE


async def test_authorities_that_cannot_be_read_are_named(settings, tmp_path, environment, secure):
    environment.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(RepackError, match=r"SSL_CERT_FILE names .*missing\.pem, which cannot be read"):
        await get(f"{secure[0]}/files/x", settings, tmp_path)


def test_who_is_believed_is_what_was_named_and_otherwise_whom_mozilla_believes(secure, tmp_path):
    def names(environment: dict[str, str]) -> set[str]:
        subjects = [certificate["subject"] for certificate in trusted(environment).get_ca_certs()]
        return {value for subject in subjects for [(key, value)] in subject if key == "commonName"}

    _, authority = secure
    assert names({"SSL_CERT_FILE": str(authority), "SSL_CERT_DIR": str(tmp_path)}) == {"tests' authority"}
    assert names({"SSL_CERT_DIR": str(tmp_path)}) == set(), "of a folder, one is read when it is needed"
    assert len(names({"SSL_CERT_FILE": ""})) > 50
