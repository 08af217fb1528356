"""Finished packages to the dashboard, by HTTP; of Jobs, a person's command has a folder."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec

from repack_contract.choices import Arch
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.values import WorkResult
from repack_worker.authorization import authorization
from repack_worker.store import Companions
from repack_worker.threads import in_thread

_CHUNK = 1 << 20
_LONGEST_PAUSE_SECONDS = 5.0
_FINAL_REFUSALS = {400, 401, 403, 404, 409, 413, 415, 422}
"""Answers that the same request would get again."""
_OTHER_TOKENS = "Check that worker and dashboard have the same ingest token, or that REPACK_DASHBOARD_INGEST_AUTH fits."
_REFUSALS = {
    401: (Reason.INTERNAL, _OTHER_TOKENS),
    403: (Reason.INTERNAL, _OTHER_TOKENS),
    404: (Reason.INTERNAL, "The dashboard does not know the task any more: run it again."),
    413: (Reason.PACKAGE_TOO_LARGE, "Raise REPACK_DASHBOARD_MAX_ARTIFACT_BYTES, then run the task again."),
}


class DashboardStore:
    """The dashboard, which alone mounts the artifact volume; waits for one that restarts."""

    def __init__(
        self, client: httpx.AsyncClient, *, uid: str, attempt: int, token_file: Path | None, attempts: int
    ) -> None:
        self._client, self._uid, self._attempt = client, uid, attempt
        self._token_file, self._attempts = token_file, attempts

    async def put(
        self,
        package: Path,
        *,
        target: Arch,
        sha256: str,
        companions: Companions,
        on_bytes: Callable[[int], None],
    ) -> str:
        """Upload the package; the dashboard checks the sha256 before it shows it."""
        base = f"{self._uid}/{self._attempt}/{target.value}"
        for kind, content in companions.items():
            await self._put_companion(f"/api/v1/ingest/companions/{base}/{kind}", content, beside=package)
        path = f"/api/v1/ingest/artifacts/{base}/{quote(package.name)}"
        response = await self._put(path, package, headers={"X-Content-SHA256": sha256}, on_bytes=on_bytes)
        answer = response.json()
        if answer.get("sha256") != sha256:
            raise RepackError(
                Reason.CHECKSUM_MISMATCH,
                f"The dashboard stored {package.name} with sha256 {answer.get('sha256')}, sent was {sha256}.",
            )
        return str(answer["uri"])

    async def _put_companion(self, path: str, content: bytes, *, beside: Path) -> None:
        file = beside.with_name(path.rpartition("/")[2])
        await in_thread(file.write_bytes, content)
        try:
            await self._put(path, file, headers={}, on_bytes=lambda _count: None)
        finally:
            await in_thread(file.unlink)

    async def put_log(self, log: Path) -> None:
        """Upload the whole log."""
        path = f"/api/v1/ingest/logs/{self._uid}/{self._attempt}"
        await self._put(path, log, headers={"Content-Type": "application/x-ndjson"}, on_bytes=lambda _count: None)

    async def put_result(self, result: WorkResult) -> None:
        """Tell the result once; it is a second copy of the termination message and worth no waiting."""
        path = f"/api/v1/ingest/results/{self._uid}/{self._attempt}"
        headers = {"Content-Type": "application/json", **authorization(self._token_file)}
        content = msgspec.json.encode(result.wire())
        with contextlib.suppress(httpx.HTTPError):
            await self._client.put(path, content=content, headers=headers, timeout=5)

    async def _put(
        self, path: str, file: Path, *, headers: Mapping[str, str], on_bytes: Callable[[int], None]
    ) -> httpx.Response:
        fault, size = "", (await in_thread(file.stat)).st_size
        for attempt in range(1, self._attempts + 1):
            sent = 0

            def count(size: int) -> None:
                nonlocal sent
                sent += size
                on_bytes(size)

            try:
                response = await self._client.put(
                    path,
                    content=_stream(file, count),
                    headers={
                        "Content-Type": "application/octet-stream",
                        "Content-Length": str(size),
                        **headers,
                        **authorization(self._token_file),
                    },
                    timeout=httpx.Timeout(60, connect=10),
                )
                if response.is_success:
                    return response
                fault = f"it answers {response.status_code}: {_detail(response)}"
                self._check_final(response, file, fault)
            except httpx.HTTPError as error:
                fault = f"{error or type(error).__name__}"
            on_bytes(-sent)
            await asyncio.sleep(min(0.25 * 2**attempt, _LONGEST_PAUSE_SECONDS))
        raise RepackError(
            Reason.INDEX_UNREACHABLE,
            f"{file.name} could not be uploaded to the dashboard: {fault}.",
            hint="Check that the dashboard runs and can be reached from the worker, then run the task again.",
        )

    @staticmethod
    def _check_final(response: httpx.Response, file: Path, fault: str) -> None:
        if response.status_code == httpx.codes.INSUFFICIENT_STORAGE:
            raise RepackError(
                Reason.DISK_FULL, f"The dashboard has no room for {file.name} ({file.stat().st_size:,} bytes)."
            )
        if response.status_code in _FINAL_REFUSALS:
            reason, hint = _REFUSALS.get(response.status_code, (Reason.INTERNAL, None))
            raise RepackError(reason, f"The dashboard refuses {file.name}: {fault}.", hint=hint)


async def _stream(file: Path, on_bytes: Callable[[int], None]) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while chunk := await in_thread(source.read, _CHUNK):
            on_bytes(len(chunk))
            yield chunk


def _detail(response: httpx.Response) -> str:
    """Return what a problem+json says, else the start of the text."""
    try:
        problem = response.json()
    except ValueError:
        return response.text[:200]
    return str(problem.get("detail") or problem.get("title") or "")[:300] if isinstance(problem, dict) else ""
