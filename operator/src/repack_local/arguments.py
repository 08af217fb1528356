"""The command line of `dify-repack`: what can be written, and what it means. Nothing is done here."""

import argparse
import os
from pathlib import Path
from typing import Any

from repack_contract import VERSION
from repack_contract.choices import Arch, Mode, VerifyDepth

SHELLS = ("bash", "zsh", "fish")
MODES = {"requirements": Mode.REQUIREMENTS_ONLY, "dual": Mode.DUAL}
_FILES: dict[str, Any] = {}
_FOLDERS: dict[str, Any] = {}
"""What completes a file or a folder in each shell; shtab knows, and is asked when a script is wanted."""
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
    main.add_argument("--version", action="version", version=f"dify-repack {VERSION}")
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
    listed.complete = _FILES  # type: ignore[attr-defined]
    folder = pack.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="FOLDER", help="folder for the result (default: this one)"
    )
    folder.complete = _FOLDERS  # type: ignore[attr-defined]
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


def completion(main: argparse.ArgumentParser, shell: str) -> str:
    """Return the completion script for a shell."""
    import shtab  # noqa: PLC0415 - of this command alone

    _FILES.update(shtab.FILE)
    _FOLDERS.update(shtab.DIRECTORY)
    return str(shtab.complete(main, shell=shell))


def check_arguments(main: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with the usage (exit code 2) where arguments contradict each other."""
    if arguments.command == "pack" and (arguments.source is None) == (arguments.list is None):
        main.error("pack needs a source or --list FILE, and not both")
    if arguments.command == "pack" and arguments.list and arguments.sha256:
        main.error("--sha256 is for one source; in a list write sha256:… after the address")
