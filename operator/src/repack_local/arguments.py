"""The command line of `dify-repack`: what can be written, and what it means. Nothing is done here."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from urllib.request import url2pathname

import shtab
from pydantic import ValidationError

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.source import Source, SourceType
from repack_contract.source import UrlSource as UrlSpec
from repack_contract.source_text import MARKETPLACE_HOSTS, LocalFile, understand
from repack_contract.task import Arch, Mode, Output, PackageIndex, Spec, Target
from repack_worker.addresses import Entry
from repack_worker.settings import Settings, VerifyDepth, home_folder, load_settings
from repack_worker.sources import FileSource, PluginSource, source_of

SHELLS = ("bash", "zsh", "fish")
MODES = {"requirements": Mode.REQUIREMENTS_ONLY, "dual": Mode.DUAL}
_OPTIONS = {"python": "--python", "sha256": "--sha256", "suffix": "--suffix", "url": "--index-url",
            "extraURLs": "--extra-index-url"}  # fmt: skip
_PACKAGES = {
    "bash": "_shtab_compgen_files",
    "zsh": "_files -g '*.difypkg'",
    "fish": "(__fish_complete_suffix .difypkg)",
}
_SOURCE = """a source is one of:
  my-plugin.difypkg                      a file
  langgenius/openai                      a plugin of the Marketplace, the latest version; or author/name:1.2.3
  https://marketplace.dify.ai/plugins/…  its page
  github:owner/repo                      the only .difypkg of the latest release; or owner/repo@tag#name.difypkg
  https://github.com/…                   a repository, a release or an asset
  https://example.com/my-plugin.difypkg  any address
"""
_PACK = f"""{_SOURCE}
examples:
  dify-repack pack my-plugin.difypkg -o offline/
  dify-repack pack langgenius/openai:0.2.7 -o offline/ --index-url https://mirror.example.com/simple
  dify-repack pack --list plugins.txt -o offline/ --jobs 4

a list has one source a line; `#` begins a comment, `sha256:…` after an address is its checksum. What was made before
is not made again, and one failure does not stop the rest.
"""
_PLAN = f"""{_SOURCE}
examples:
  dify-repack plan langgenius/openai
  dify-repack plan my-plugin.difypkg --json | jq .plan.downloadBytes
"""
_VERIFY = """examples:
  dify-repack verify offline/me-my-plugin_0.0.1-linux-amd64-offline.difypkg
"""
_COMPLETION = """examples:
  bash   dify-repack completion bash > ~/.local/share/bash-completion/completions/dify-repack
  zsh    dify-repack completion zsh > "${fpath[1]}/_dify-repack"
  fish   dify-repack completion fish > ~/.config/fish/completions/dify-repack.fish
"""
_MAIN = """examples:
  dify-repack plan langgenius/openai               what would be in the package, before anything is downloaded
  dify-repack pack langgenius/openai -o offline/   make it, and prove that it installs
  dify-repack verify offline/x.difypkg             prove it again
  dify-repack up                                   the page, the operator and a Kubernetes API on this machine

The exit code is 0 when all is well, 130 after Ctrl-C, 5 when a line of a list failed, else that of the reason:
docs/cli.md lists them.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    main = argparse.ArgumentParser(
        prog="dify-repack",
        description="Turn a Dify plugin into a package that installs without a network, and prove it.",
        epilog=_MAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument("--version", action="version", version=f"dify-repack {version('dify-repack')}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_pack(_command(commands, "pack", "make an offline package of a plugin, or of each plugin of a list", _PACK))
    _add_plan(_command(commands, "plan", "say what would be made, without making it", _PLAN))
    _add_verify(_command(commands, "verify", "install a package with the network off, as Dify's daemon does", _VERIFY))
    _command(commands, "up", "start operator, dashboard and page on this machine", "")
    completion = _command(commands, "completion", "print the completion script of a shell", _COMPLETION)
    completion.add_argument("shell", choices=SHELLS, help="the shell to complete in")
    return main


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, words: str, epilog: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name, help=words, description=f"{words[0].upper()}{words[1:]}.", epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def _add_pack(pack: argparse.ArgumentParser) -> None:
    _add_source(pack, nargs="?")
    listed = pack.add_argument("--list", type=Path, metavar="FILE", help="file with one source a line; - is stdin")
    listed.complete = shtab.FILE  # type: ignore[attr-defined]
    folder = pack.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="FOLDER", help="folder for the result (default: this one)"
    )
    folder.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    _add_what(pack)
    pack.add_argument("--suffix", default="offline", help="end of the file name (default: offline)")
    pack.add_argument(
        "--verify", type=VerifyDepth, choices=list(VerifyDepth), metavar="{standard,full}",
        help="install as the newest daemons do, or as all known ones do (default: standard)",
    )  # fmt: skip
    pack.add_argument(
        "-j", "--jobs", type=_positive, default=len(os.sched_getaffinity(0)), metavar="N",
        help="plugins of a list that are worked on at once (default: one a processor)",
    )  # fmt: skip
    pack.add_argument("--again", action="store_true", help="make what was made before again")
    _add_showing(pack)


def _add_plan(plan: argparse.ArgumentParser) -> None:
    _add_source(plan)
    _add_what(plan)
    plan.add_argument(
        "--licences", action="store_true", help="ask the index for each package's licence (a few kB each)"
    )
    _add_showing(plan)


def _add_verify(check: argparse.ArgumentParser) -> None:
    file = check.add_argument("file", type=Path, help="the .difypkg to verify")
    file.complete = _PACKAGES  # type: ignore[attr-defined]
    check.add_argument("--python", default="3.12", help="Python of the daemon (default: 3.12)")
    _add_showing(check)


def _add_source(command: argparse.ArgumentParser, **more: str) -> None:
    source = command.add_argument("source", help="a file, a plugin, an address (see below)", **more)  # type: ignore[arg-type]
    source.complete = _PACKAGES  # type: ignore[attr-defined]


def _add_what(command: argparse.ArgumentParser) -> None:
    command.add_argument("--sha256", help="checksum that a plugin from an address must have")
    command.add_argument(
        "--arch", type=_archs, default=[Arch.AMD64], metavar="ARCH[,ARCH]",
        help=f"one package for each of these: {', '.join(Arch)} (default: amd64)",
    )  # fmt: skip
    command.add_argument(
        "--mode",
        choices=list(MODES),
        default="requirements",
        help="how dependencies are written (default: requirements)",
    )
    command.add_argument("--python", default="3.12", help="Python of the daemon (default: 3.12)")
    command.add_argument("--index-url", metavar="URL", help="package index to use in place of the public one")
    command.add_argument(
        "--extra-index-url", action="append", metavar="URL", help="further package index; may be repeated"
    )


def _add_showing(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print the result as JSON, a failure too")
    loudness = command.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="show nothing on the way")
    loudness.add_argument("-v", "--verbose", action="store_true", help="show every line of the log")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def _archs(text: str) -> list[Arch]:
    try:
        return list(dict.fromkeys(Arch(name.strip()) for name in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not made of {', '.join(Arch)}") from None


@dataclass(frozen=True)
class Wish:
    """One plugin to work on, and how."""

    text: str
    """As it was written."""
    source: PluginSource
    spec: Spec


def settings_of(work_dir: Path, arguments: argparse.Namespace) -> Settings:
    """Return the settings for a person's machine: their cache folder, a temporary folder, and the hosts they typed."""
    given = load_settings()
    cache = given.cache_dir if "cache_dir" in given.model_fields_set and given.cache_dir else None
    kept = (
        (home_folder(otherwise=work_dir) / ".cache" / "dify-repack")
        if cache is None or cache == given.work_dir / "cache"
        else cache
    )
    level = getattr(arguments, "verify", None) or given.verify
    typed = [getattr(arguments, "source", None), getattr(arguments, "index_url", None)]
    typed += getattr(arguments, "extra_index_url", None) or []
    return allowing(given.model_copy(update={"work_dir": work_dir, "cache_dir": kept, "verify": level}), typed)


def allowing(settings: Settings, typed: Sequence[str | None]) -> Settings:
    """Return settings that allow the servers that somebody typed the address of, wherever those are."""
    addresses = [text for text in typed if text and urlsplit(text).scheme in {"http", "https"}]
    hosts = [f"{f'[{e.host}]' if ':' in e.host else e.host}:{e.port}" for e in map(Entry.of_url, addresses) if e.host]
    return settings.model_copy(update={"allowed_private_hosts": [*settings.allowed_private_hosts, *hosts]})


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
    index = PackageIndex.model_construct(url=arguments.index_url, extra_urls=arguments.extra_index_url)
    try:
        if source.url and sha256:
            source = Source(type=source.type, url=UrlSpec(url=source.url.url, sha256=sha256))
        return Spec(
            source=source,
            targets=[Target(arch=arch) for arch in arguments.arch],
            mode=MODES[arguments.mode],
            python=arguments.python,
            dry_run=arguments.command == "plan",
            output=Output(suffix=getattr(arguments, "suffix", "offline")),
            package_index=PackageIndex(**vars(index)) if index.url or index.extra_urls else None,
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = next((str(part) for part in first["loc"] if str(part) in _OPTIONS), str(first["loc"][-1]))
        _refuse(_OPTIONS.get(name, name), first["msg"])


def _local(text: str, folder: Path) -> FileSource | None:
    """Take what is there as a file, however it is called."""
    path = _path(text, folder)
    try:
        return FileSource(path) if path.is_file() else None
    except (OSError, ValueError):  # too long for a path, or with a NUL in it
        return None


def _path(text: str, folder: Path) -> Path:
    if text.startswith("file:"):
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


def check_arguments(main: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with the usage (exit code 2) where arguments contradict each other."""
    if arguments.command == "pack" and (arguments.source is None) == (arguments.list is None):
        main.error("pack needs a source or --list FILE, and not both")
    if arguments.command == "pack" and arguments.list and arguments.sha256:
        main.error("--sha256 is for one source; in a list write sha256:… after the address")
