"""A bucket by the library obstore, which is loaded when the first one is opened: 16 MB, and 30 ms to import."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from repack_objects.errors import ChangedError, StoreError, missing, names_no_place, refused, unreachable
from repack_objects.location import Location

WINDOW_BYTES = 4 << 20
"""Read with one request at most: a reader that is slow then holds no connection to the store."""
FIRST_WINDOW_BYTES = 256 << 10
"""Read with the first one, and twice as much with each after it: who wants little costs little."""
PART_BYTES = 8 << 20
"""Of a multipart upload. S3 takes 10,000 of them, so objects of up to 80 GB."""
PARTS_AT_ONCE = 2
ONE_REQUEST_BYTES = 1 << 20
"""What is no larger is written with one request in place of three."""
REQUEST_SECONDS = 60.0
CONNECT_SECONDS = 5.0
RETRIES = 3
RETRY_SECONDS = 20.0
_LISTED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """An object."""

    key: str
    size_bytes: int
    modified: float
    """Seconds of the epoch."""
    version: str | None = None
    """Its ETag: another one, and it is another object."""


class Bucket:
    """What can be done with the objects below a location. Every failure of the store is a `StoreError`."""

    def __init__(self, location: Location, *, request_seconds: float = REQUEST_SECONDS) -> None:
        """Open it; nothing is asked yet.

        Raises:
            StoreError: the library is not installed, or the location cannot be opened.
        """
        self.location = location
        self._seconds = request_seconds
        self._store = self._open()

    async def put(self, key: str, data: bytes) -> None:
        """Write a small object in one request."""
        with self._telling():
            await _library().put_async(self._store, key, data, use_multipart=False)

    async def create(self, key: str, data: bytes) -> bool:
        """Write a small object unless there is one; tell whether it was written."""
        with self._telling():
            try:
                await _library().put_async(self._store, key, data, mode="create")
            except (_exceptions().AlreadyExistsError, _exceptions().PreconditionError):
                return False
        return True

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Write an object piece by piece. It is there once `chunks` has ended, and not at all when that raises."""
        head = bytearray()
        async for chunk in chunks:
            head += chunk
            if len(head) > ONE_REQUEST_BYTES:
                break
        else:
            await self.put(key, bytes(head))
            return
        with self._telling():
            await _library().put_async(
                self._store,
                key,
                _after(bytes(head), chunks),
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )

    async def get(self, key: str) -> bytes | None:
        """Return a small object."""
        with self._telling():
            try:
                result = await _library().get_async(self._store, key)
                return bytes(await result.bytes_async())
            except FileNotFoundError as error:
                self._check_place(error)
                return None

    async def pieces(self, found: Found, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to before `end`, a window at a time.

        Raises:
            ChangedError: it was replaced since it was found, or it is gone.
        """
        end, window = found.size_bytes if end is None else end, FIRST_WINDOW_BYTES
        while start < end:
            until = min(start + min(window, WINDOW_BYTES), end)
            yield await self._window(found, start, until)
            start, window = until, window * 2

    async def find(self, key: str) -> Found | None:
        """Return what is known of an object."""
        with self._telling():
            try:
                return _found(await _library().head_async(self._store, key))
            except FileNotFoundError as error:
                self._check_place(error)
                return None

    async def list(self, prefix: str) -> AsyncIterator[Found]:
        """Yield every object below a folder."""
        with self._telling():
            async for batch in _library().list(self._store, prefix or None, chunk_size=_LISTED_AT_ONCE):
                for meta in batch:
                    yield _found(meta)

    async def folders(self, prefix: str) -> Sequence[str]:
        """Return the names of the folders directly in a folder."""
        with self._telling():
            found = await _library().list_with_delimiter_async(self._store, prefix)
        return [str(path).rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]]

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are no error."""
        for start in range(0, len(keys), _LISTED_AT_ONCE):
            with self._telling(), contextlib.suppress(FileNotFoundError):
                await _library().delete_async(self._store, list(keys[start : start + _LISTED_AT_ONCE]))

    async def sign_put(self, key: str, *, seconds: float) -> str:
        """Return an address that takes this one object, from whoever has it, for some time."""
        with self._telling():
            signed: str = await _library().sign_async(self._store, "PUT", key, timedelta(seconds=seconds))
        return signed

    async def _window(self, found: Found, start: int, end: int) -> bytes:
        options: dict[str, Any] = {"range": (start, end)}
        if found.version:
            options["if_match"] = found.version
        with self._telling():
            try:
                result = await _library().get_async(self._store, found.key, options=options)
                data = bytes(await result.bytes_async())
            except (FileNotFoundError, _exceptions().PreconditionError) as error:
                raise ChangedError(f"{found.key} was replaced while it was read.", hint="Begin again.") from error
        if len(data) != end - start:
            raise StoreError(
                f"The object store {self.location.url} gave {len(data)} bytes in place of {end - start}.",
                hint="Try again; if it repeats, look at the store, or at the proxy before it.",
            )
        return data

    def _check_place(self, error: FileNotFoundError) -> None:
        if names_no_place(error):
            raise missing(where=self.location.url) from error

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what the library raises into our errors; what our own iterators raised passes."""
        kinds = _exceptions()
        try:
            yield
        except FileNotFoundError as error:  # of a write: only the bucket can be missing
            raise missing(where=self.location.url) from error
        except (kinds.PermissionDeniedError, kinds.UnauthenticatedError) as error:
            raise refused(error, where=self.location.url) from error
        except kinds.BaseError as error:
            problem = missing(where=self.location.url) if names_no_place(error) else None
            raise (problem or unreachable(error, where=self.location.url)) from error

    def _open(self) -> Any:
        location = self.location
        client: dict[str, Any] = {
            "allow_http": location.allow_http,
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=self._seconds),
        }
        retries = {
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2},
        }
        try:
            if location.ca_file is not None:
                client["root_certificate"] = location.ca_file.read_bytes()
            return _library().store.from_url(
                location.url, config=_config(location), client_options=client, retry_config=retries
            )
        except OSError as error:
            raise StoreError(
                f"The file of authorities {location.ca_file} cannot be read: {error.strerror}.",
                hint="Correct its path.",
            ) from error
        except (_exceptions().BaseError, ValueError) as error:
            raise unreachable(error, where=location.url) from error


def _config(location: Location) -> dict[str, Any]:
    """Return the settings of the store's own kind; what is not in it the library takes from the environment."""
    config: dict[str, Any] = {}
    match location.kind:
        case "S3":
            config["virtual_hosted_style_request"] = not location.path_style
            if location.endpoint:
                config["endpoint"] = location.endpoint
            if location.region:
                config["region"] = location.region
        case "GCS" if location.endpoint:
            config["base_url"] = location.endpoint
        case "Azure" if location.endpoint:
            config["endpoint"] = location.endpoint
    return config


async def _after(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in chunks:
        yield chunk


def _found(meta: Any) -> Found:
    return Found(meta["path"], meta["size"], meta["last_modified"].timestamp(), meta["e_tag"])


def _library() -> Any:
    try:
        import obstore  # noqa: PLC0415 - see the module's docstring
        import obstore.store  # noqa: PLC0415
    except ImportError as error:
        raise StoreError(
            "The library for object stores is not installed.", hint="pip install 'dify-repack[objectstore]'"
        ) from error
    return obstore


def _exceptions() -> Any:
    _library()
    import obstore.exceptions  # noqa: PLC0415

    return obstore.exceptions
