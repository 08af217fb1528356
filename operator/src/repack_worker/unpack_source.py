"""Getting at the source of a distribution: an archive laid out in a folder, or a commit fetched with git.

Neither runs anything of the source. Paths out of the folder, links out of it and devices are refused (PEP 706).
"""

import errno
import hashlib
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.confinement import confined
from repack_worker.guard import NetworkGuard
from repack_worker.plan import SourceDist
from repack_worker.processes import Finished, ProcessTimeoutError, run
from repack_worker.threads import in_thread

_MAX_UNPACKED = 2 << 30
_MAX_ENTRIES = 100_000
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def unpack_archive(archive: Path, into: Path) -> Path:
    """Lay a source archive out in a new folder and return the folder of the project."""
    into.mkdir(parents=True)
    try:
        if archive.name.endswith(".zip"):
            _unzip(archive, into)
        else:
            _untar(archive, into)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise _damaged(archive, str(error)) from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise _damaged(archive, str(error)) from error
    entries = list(into.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else into


def _untar(archive: Path, into: Path) -> None:
    total = 0
    with tarfile.open(archive) as file:
        for number, member in enumerate(file):
            total += member.size
            if number > _MAX_ENTRIES or total > _MAX_UNPACKED:
                raise _damaged(archive, f"it unpacks to more than {_MAX_UNPACKED:,} bytes or {_MAX_ENTRIES:,} files")
            file.extract(member, into, filter="data")


def _unzip(archive: Path, into: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        infos = file.infolist()
        if len(infos) > _MAX_ENTRIES or sum(info.file_size for info in infos) > _MAX_UNPACKED:
            raise _damaged(archive, f"it unpacks to more than {_MAX_UNPACKED:,} bytes or {_MAX_ENTRIES:,} files")
        for info in infos:
            if ".." in Path(info.filename).parts or info.filename.startswith(("/", "\\")):
                raise _damaged(archive, f"its entry {info.filename!r} leads out of it")
            file.extract(info, into)


def _damaged(archive: Path, fault: str) -> RepackError:
    return RepackError(Reason.DEPENDENCY_CONFLICT, f"The source archive {archive.name} cannot be unpacked: {fault}.")


def tree_sha256(folder: Path) -> str:
    """Return one sha256 for the files of a checkout: git names them by SHA-1, which is no longer enough to trust."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if ".git" in name.parts:
            continue
        if path.is_symlink():
            kind, content = b"l", str(path.readlink()).encode()
        elif path.is_file():
            kind, content = b"x" if path.stat().st_mode & 0o100 else b"f", path.read_bytes()
        else:
            continue
        for part in (kind, str(name).encode(), content):
            whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()


async def fetch_commit(
    source: SourceDist, into: Path, *, env: Mapping[str, str], guard: NetworkGuard, timeout_seconds: float
) -> Path:
    """Fetch one commit of a git repository and its submodules; return the folder of the project.

    Args:
        source: the repository, the commit and where the project lies in it.
        into: a folder that is made here.
        env: the environment of git, by which it uses the guard and no other way.
        guard: checks every connection, whatever the repository, a redirect or `.gitmodules` names.
        timeout_seconds: for each call of git.
    """
    if not _COMMIT.fullmatch(source.commit):  # a lock can write anything there, also an option of git's
        raise RepackError(
            Reason.DEPENDENCY_CONFLICT, f"{source.label}: {source.commit[:80]!r} is no commit.",
            hint="Lock the plugin again with a current uv (`uv lock`).",
        )  # fmt: skip
    git = shutil.which("git", path="/usr/bin:/usr/local/bin:/bin") or shutil.which("git")
    if not git:
        raise RepackError(
            Reason.NO_WHEEL_FOR_PLATFORM,
            f"{source.label} comes from git, and git is not installed where the worker runs.",
            hint="Install git there, or put a wheel of it on a package index of your own.",
        )
    await in_thread(into.mkdir, parents=True)
    certificates = [Path(env[name]) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO") if name in env]

    async def call(*words: str) -> Finished:
        # git reads what comes from the repository before anybody looked at it: it reaches the guard and one folder.
        command = confined([git, "-C", into, *words], write=[into], read=certificates, connect=[guard.port])
        try:
            return await run(command, env=env, timeout_seconds=timeout_seconds)
        except ProcessTimeoutError as error:
            raise RepackError(
                Reason.DOWNLOAD_TIMEOUT, f"{source.label}: {error} ({source.url}).",
                hint="Try again, raise REPACK_BUILD_TIMEOUT_SECONDS, or put a wheel of it on an index of your own.",
            ) from error  # fmt: skip

    await call("init", "--quiet")
    fetched = await call("fetch", "--quiet", "--depth", "1", source.url, source.commit)
    if fetched.code != 0:  # an old server gives no single commit: take all branches and tags
        fetched = await call("fetch", "--quiet", "--tags", source.url, "+refs/heads/*:refs/remotes/origin/*")
    checked_out = await call("checkout", "--quiet", "--detach", source.commit)
    if checked_out.code != 0:
        guard.raise_refusal()
        said = " ".join((fetched if fetched.code else checked_out).output.split())[-300:]
        raise RepackError(
            Reason.INDEX_UNREACHABLE,
            f"{source.label}: the commit {source.commit[:12]} could not be fetched from {source.url}: "
            f"{said}{guard.explanation}",
            hint="Check that the repository can be reached from the worker (HTTPS_PROXY) and still has the commit.",
        )
    if await in_thread((into / ".gitmodules").is_file):
        await call("remote", "add", "origin", source.url)  # what relative addresses of submodules are relative to
        await _fetch_submodules(call, source, guard)
    folder = into / source.subdirectory
    if not await in_thread(lambda: folder.is_dir() and folder.resolve().is_relative_to(into.resolve())):
        raise RepackError(
            Reason.DEPENDENCY_CONFLICT, f"{source.label}: the repository has no folder {source.subdirectory!r}.",
            hint="Correct the subdirectory of its [tool.uv.sources] entry and lock the plugin again.",
        )  # fmt: skip
    return folder


async def _fetch_submodules(call: Callable[..., Awaitable[Finished]], source: SourceDist, guard: NetworkGuard) -> None:
    """Fetch the submodules, each at the commit that the repository pins, as uv does."""
    update = ("submodule", "--quiet", "update", "--init", "--recursive", "--checkout")
    done = await call(*update, "--depth", "1")
    if done.code != 0 and guard.refusal is None:
        done = await call(*update)  # a server that gives no single commit
    if done.code == 0:
        return
    guard.raise_refusal()
    said = " ".join(done.output.split())[-300:]
    raise RepackError(
        Reason.INDEX_UNREACHABLE,
        f"{source.label}: a submodule of {source.url} could not be fetched: {said}{guard.explanation}",
        hint="Submodules are fetched by https only, without credentials, and from public addresses or those that "
        "REPACK_ALLOWED_PRIVATE_HOSTS allows. Else put a wheel of it on a package index of your own.",
    )
