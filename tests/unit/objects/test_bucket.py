"""A bucket over a real S3 server: whole objects or none, and every failure a sentence without a secret."""

import ssl
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from fakes.object_store import CREDENTIALS, FORBIDDEN, S3Server, a_network_to
from private_authority import Authority
from repack_objects import bucket as module
from repack_objects.bucket import Bucket, Found
from repack_objects.errors import ChangedError, StoreError
from repack_objects.location import Location


async def pieces(count: int, size: int = 1 << 20, *, error: Exception | None = None) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * size
    if error is not None:
        raise error


async def keys(bucket: Bucket, prefix: str = "") -> list[str]:
    return sorted([found.key async for found in bucket.list(prefix)])


async def read(bucket: Bucket, found: Found, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in bucket.pieces(found, start, end)])


@pytest.fixture
def place(s3_server: S3Server, bucket: str) -> Bucket:
    return Bucket(s3_server.location(bucket))


async def test_what_was_put_is_found_listed_read_and_deleted(place: Bucket) -> None:
    await place.put("a/b/one", b"1")
    await place.put_stream("a/two", pieces(20))
    found = await place.find("a/two")
    assert found is not None
    assert found.size_bytes == 20 << 20
    assert await read(place, found, (5 << 20) - 1, (5 << 20) + 1) == b"\x04\x05"
    assert len(await read(place, found)) == 20 << 20
    assert await place.get("a/b/one") == b"1"
    assert await keys(place) == ["a/b/one", "a/two"]
    assert await place.folders("a") == ["b"]
    await place.delete(["a/two", "was/never/there"])
    assert await keys(place) == ["a/b/one"]
    assert (await place.find("a/two"), await place.get("a/two")) == (None, None)


async def test_an_object_whose_sender_fails_midway_is_never_there(place: Bucket) -> None:
    await place.put("x", b"the old one")
    with pytest.raises(ConnectionResetError, match="gone away"):
        await place.put_stream("x", pieces(20, error=ConnectionResetError("gone away")))
    assert await place.get("x") == b"the old one"


async def test_an_empty_object_is_an_object(place: Bucket) -> None:
    await place.put_stream("empty", pieces(0))
    assert await place.get("empty") == b""


async def test_a_large_object_goes_through_in_little_memory(place: Bucket) -> None:
    tracemalloc.start()
    await place.put_stream("large", pieces(96))
    found = await place.find("large")
    assert found is not None
    async for _ in place.pieces(found):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20


async def test_an_object_replaced_while_it_is_read_is_noticed(place: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW_BYTES", 4)
    await place.put("x", b"12345678")
    found = await place.find("x")
    assert found is not None
    reading = place.pieces(found)
    assert await anext(reading) == b"1234"
    await place.put("x", b"abcdefgh")
    with pytest.raises(ChangedError):
        await anext(reading)


async def test_a_bucket_that_does_not_exist_is_named(s3_server: S3Server, bucket: str) -> None:
    nowhere = Bucket(s3_server.location("there-is-no-such-bucket"))
    for attempt in (nowhere.put("x", b"1"), nowhere.get("x"), nowhere.folders("x"), nowhere.put_stream("x", pieces(1))):
        with pytest.raises(StoreError, match=r"no bucket .* s3://there-is-no-such-bucket/some/prefix"):
            await attempt


async def test_a_refusal_says_so_and_tells_no_key(s3_server: S3Server, bucket: str) -> None:
    async with a_network_to(s3_server) as network:
        network.answer = FORBIDDEN
        place = Bucket(s3_server.location(bucket, port=network.port))
        for attempt in (place.put("x", b"1"), place.get("x"), place.find("x"), place.put_stream("x", pieces(1))):
            with pytest.raises(StoreError) as caught:
                await attempt
            assert "refuses us (403 Forbidden" in caught.value.message
            assert "credentials" in caught.value.hint
            assert not any(secret in str(caught.value) for secret in CREDENTIALS.values() if secret != "us-east-1")


async def test_a_store_that_is_down_says_so(s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRIES", 1)
    async with a_network_to(s3_server) as network:
        place = Bucket(s3_server.location(bucket, port=network.port))
        network.cut()
        for attempt in (place.put("x", b"1"), place.get("x"), place.put_stream("x", pieces(1))):
            with pytest.raises(StoreError, match="cannot be used") as caught:
                await attempt
            assert "endpoint" in caught.value.hint
        network.is_down = False
        await place.put("x", b"1")
        assert await place.get("x") == b"1"


async def test_why_a_store_cannot_be_used_is_said_in_few_words(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRIES", 0)
    place = s3_server.location(bucket)
    faults = {"http://127.0.0.1:1": "Connection refused", "http://there-is-no.invalid": "failed to lookup"}
    for endpoint, words in faults.items():
        with pytest.raises(StoreError, match=f"cannot be used: {words}"):
            await Bucket(place.model_copy(update={"endpoint": endpoint})).get("x")
    async with a_network_to(s3_server) as network:
        network.pause = 5.0
        slow = Bucket(s3_server.location(bucket, port=network.port), request_seconds=0.3)
        with pytest.raises(StoreError, match="does not answer in time"):
            await slow.get("x")


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_a_store_with_a_private_authority_is_trusted_where_that_is_given(
    s3_server: S3Server, bucket: str, tmp_path: Path, *, is_trusted: bool
) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_text(authority.pem)
    (tmp_path / "server.pem").write_text(authority.server("localhost"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "server.pem")
    async with a_network_to(s3_server, tls=tls) as network:
        place = s3_server.location(bucket, ca_file=tmp_path / "ca.pem" if is_trusted else None)
        store = Bucket(place.model_copy(update={"endpoint": f"https://localhost:{network.port}"}))
        if is_trusted:
            await store.put("x", b"1")
            assert await store.get("x") == b"1"
        else:
            with pytest.raises(StoreError, match="certificate is not trusted"):
                await store.get("x")


async def test_a_store_that_is_too_slow_is_given_up(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRIES", 0)
    async with a_network_to(s3_server) as network:
        place = Bucket(s3_server.location(bucket, port=network.port), request_seconds=0.3)
        network.pause = 5.0
        with pytest.raises(StoreError, match="cannot be used"):
            await place.get("x")


async def test_an_answer_that_breaks_off_is_never_taken_for_whole(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRIES", 1)
    async with a_network_to(s3_server) as network:
        place = Bucket(s3_server.location(bucket, port=network.port), request_seconds=5)
        await place.put_stream("x", pieces(3))
        found = await place.find("x")
        assert found is not None
        network.cut_after = 1000
        with pytest.raises(StoreError):
            await read(place, found)
        network.cut_after = None
        assert len(await read(place, found)) == 3 << 20


async def test_whoever_has_a_signed_address_writes_that_object_and_no_other(place: Bucket) -> None:
    address = await place.sign_put("tasks/u/1/amd64.difypkg", seconds=60)
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.put(address, content=b"straight")).status_code == 200
    assert await place.get("tasks/u/1/amd64.difypkg") == b"straight"
    assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in address


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"url": "http://bucket/x"}, "give s3://bucket/prefix"),
        ({"url": "s3://"}, "give s3://bucket/prefix"),
        ({"url": "s3://key:secret@bucket/x"}, "no credentials"),
        ({"url": "s3://bucket/x?secret=1"}, "no credentials"),
        ({"url": "s3://bucket", "endpoint": "minio:9000"}, "must begin with https://"),
        ({"url": "s3://bucket", "endpoint": "http://minio:9000"}, "not allowed unless"),
    ],
)
def test_a_place_that_cannot_be_one_is_refused_with_a_sentence(parts: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Location.model_validate(parts)


@pytest.mark.parametrize("url", ["gs://bucket/prefix", "az://container/prefix"])
def test_the_other_clouds_are_opened_by_their_addresses(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "someaccount")
    assert Bucket(Location(url=url)).location.kind in {"GCS", "Azure"}


def test_authorities_that_cannot_be_read_are_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StoreError, match=r"ca\.crt cannot be read"):
        Bucket(Location(url="s3://bucket", ca_file=tmp_path / "ca.crt"))
