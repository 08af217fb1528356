"""What the arguments of `pack` and `plan` mean: settings, a source and a spec. Nothing is done here."""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from msgspec import Struct, ValidationError

from repack_contract.choices import SourceType
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.source_text import MARKETPLACE_HOSTS, LocalFile, understand
from repack_contract.values import Output, PackageIndex, Source, Spec, Target, checked
from repack_contract.values import UrlSource as UrlSpec
from repack_local.arguments import MODES
from repack_worker.addresses import Entry
from repack_worker.settings import Settings, home_folder, load_settings
from repack_worker.sources import FileSource, PluginSource, source_of

_OPTIONS = {
    "sha256": ("--sha256", "64 characters of 0-9 and a-f"),
    "python": ("--python", "a version of Python 3 such as 3.12"),
    "suffix": ("--suffix", "at most 32 letters, digits, `_` and `-`"),
    "packageIndex": ("--index-url and --extra-index-url", "at most 8 addresses that begin with https:// or http://"),
}
"""By the name of a field: which option it comes from, and what may stand there."""


class Wish(Struct, frozen=True):
    """One plugin to work on, and how."""

    text: str
    """As it was written."""
    source: PluginSource
    spec: Spec


def settings_of(work_dir: Path, arguments: argparse.Namespace) -> Settings:
    """Return the settings for a person's machine: their cache folder, a temporary folder, and the hosts they typed."""
    given = load_settings()
    kept = given.cache_dir or home_folder(otherwise=work_dir) / ".cache" / "dify-repack"
    level = getattr(arguments, "verify", None) or given.verify
    typed = [getattr(arguments, "source", None), getattr(arguments, "index_url", None)]
    typed += getattr(arguments, "extra_index_url", None) or []
    return allowing(given.but(work_dir=work_dir, cache_dir=kept, verify=level), typed)


def allowing(settings: Settings, typed: Sequence[str | None]) -> Settings:
    """Return settings that allow the servers that somebody typed the address of, wherever those are."""
    addresses = [text for text in typed if text and urlsplit(text).scheme in {"http", "https"}]
    hosts = [f"{f'[{e.host}]' if ':' in e.host else e.host}:{e.port}" for e in map(Entry.of_url, addresses) if e.host]
    return settings.but(allowed_private_hosts=[*settings.allowed_private_hosts, *hosts])


def wish_of(
    text: str, arguments: argparse.Namespace, settings: Settings, *, folder: Path = Path(), sha256: str | None = None
) -> Wish:
    """Return what is wanted of the plugin that a text names.

    Args:
        text: a source, as written.
        arguments: of `pack` or `plan`.
        settings: where Marketplace and GitHub are.
        folder: what relative paths are relative to.
        sha256: checksum that stands with this source.
    """
    local = _local(text, folder)
    hosts = MARKETPLACE_HOSTS | {urlsplit(settings.marketplace_url).hostname or ""}
    named: FileSource | LocalFile | Source = local or understand(text, marketplace_hosts=hosts)
    sha256 = sha256 or arguments.sha256
    if sha256 and not (isinstance(named, Source) and named.url):
        _refuse("--sha256", "is for a plugin from a web address", hint="Check a file with sha256sum yourself.")
    if isinstance(named, Source):
        spec = spec_of(named, arguments, sha256=sha256)
        return Wish(text=text, spec=spec, source=source_of(spec.source, settings))
    # A file of this machine has no place in a task; the address in its stead is never asked for.
    placeholder = Source(type=SourceType.URL, url=UrlSpec(url="http://localhost/file"))
    file = FileSource(_path(named.path, folder)) if isinstance(named, LocalFile) else named
    return Wish(text=text, spec=spec_of(placeholder, arguments, sha256=None), source=file)


def spec_of(source: Source, arguments: argparse.Namespace, *, sha256: str | None) -> Spec:
    """Return the spec that the arguments stand for; raise `InvalidSpec` naming the option that is wrong."""
    if source.url and sha256:
        source = source.but(url=source.url.but(sha256=sha256))
    index = PackageIndex(url=arguments.index_url, extra_urls=arguments.extra_index_url)
    spec = Spec(
        source=source,
        targets=[Target(arch=arch) for arch in arguments.arch],
        mode=MODES[arguments.mode],
        python=arguments.python,
        dry_run=arguments.command == "plan",
        output=Output(suffix=getattr(arguments, "suffix", "offline")),
        package_index=index if index.url or index.extra_urls else None,
    )
    try:
        return checked(spec)
    except ValidationError as error:
        fault, _, place = str(error).partition(" - at `$.")
        parts = re.split(r"[.\[`]", place)
        option, what = next((_OPTIONS[part] for part in parts if part in _OPTIONS), (place, fault))
        _refuse(option, f"must be {what}")


def _local(text: str, folder: Path) -> FileSource | None:
    """Take what is there as a file, however it is called."""
    path = _path(text, folder)
    try:
        return FileSource(path) if path.is_file() else None
    except (OSError, ValueError):  # too long for a path, or with a NUL in it
        return None


def _path(text: str, folder: Path) -> Path:
    if text.startswith("file:"):
        from urllib.request import url2pathname  # noqa: PLC0415 - slow to import

        return Path(url2pathname(urlsplit(text).path))
    path = Path(text)
    try:
        path = path.expanduser()
    except RuntimeError:  # the account has no home
        return folder / path
    return folder / path


def _refuse(option: str, fault: str, *, hint: str = "See dify-repack pack --help.") -> NoReturn:
    raise RepackError(Reason.INVALID_SPEC, f"{option}: {fault}.", hint=hint)


def check_output(folder: Path) -> None:
    """Refuse a result folder that cannot be written to before the work begins, not after it."""
    nearest = folder.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        why = "may not be written to" if nearest.is_dir() else "is a file"
        _refuse("--output", f"{nearest} {why}", hint="Choose another folder with -o.")
