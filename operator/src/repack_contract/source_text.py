"""What people write or paste for a plugin, understood: text in, `Source` out. Pure; nothing is looked up.

`dashboard/web/src/create/source.ts` is the same in TypeScript; both are held to `tests/source_texts.json`.

    author/name   author/name:1.2.3   author/name@1.2.3   author/name:1.2.3@<checksum>   marketplace:author/name
    https://marketplace.dify.ai/plugins/author/name[/1.2.3]   (also /plugin/, a language before it, ?version=, the API)
    github:owner/repo   github:owner/repo@tag   github:owner/repo@tag#name.difypkg
    https://github.com/owner/repo[/releases[/latest | /tag/<tag> | /download/<tag>/<name>.difypkg]]
    https://host/any.difypkg   host.example/any.difypkg
    ./file.difypkg   /path   ~/path   C:/path   file:///path   anything else that ends with .difypkg
"""

import re
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from msgspec import Struct, ValidationError

from repack_contract.choices import SourceType
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.values import GitHubSource, MarketplaceSource, Source, UrlSource, checked

MARKETPLACE_HOSTS = frozenset({"marketplace.dify.ai", "www.marketplace.dify.ai"})
GITHUB_HOSTS = frozenset({"github.com", "www.github.com"})

_PLUGIN = re.compile(
    r"(?:marketplace:)?([A-Za-z0-9][\w.-]{0,63})/([A-Za-z0-9][\w.-]{0,127})(?:[@:]([0-9][\w.+-]*)(?:@[0-9a-f]{64})?)?",
    re.ASCII,
)
_GITHUB = re.compile(r"github:([\w-]+/[\w.-]+?)(?:\.git)?(?:@([^\s#]+))?(?:#(\S+))?", re.ASCII)
_LOCAL = re.compile(r"[A-Za-z]:[\\/]|\\\\|~?/|\.\.?/|file:")
_BARE_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?::\d+)?(?:/|$)", re.IGNORECASE)
_WRAPPING = re.compile(r"""^[<("'“「《]+|[>)"'”」》,;，。；]+$""")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_HINT = "Name a plugin (author/name or author/name:version), github:owner/repo, a web address, or a .difypkg file."


class LocalFile(Struct, frozen=True):
    """A place on the machine of whoever wrote it: only the command line or an upload can bring it."""

    path: str


def understand(text: str, *, marketplace_hosts: frozenset[str] = MARKETPLACE_HOSTS) -> Source | LocalFile:
    """Return the source that a text means; raise `InvalidSpec` for one that means none.

    Args:
        text: as written; quotes, brackets and full stops that come along when copying are taken off.
        marketplace_hosts: hosts whose addresses are pages of a Marketplace.
    """
    text = _WRAPPING.sub("", text.strip()).strip()
    if not text:
        raise _unclear("Nothing was named.")
    if _LOCAL.match(text) or (text.endswith(".difypkg") and "/" not in text and not _SCHEME.match(text)):
        return LocalFile(text)
    if re.search(r"\s", text):
        raise _unclear(f"{text[:200]!r} has spaces in it, and is no file.")
    plugin = _PLUGIN.fullmatch(text)
    if plugin and not _BARE_HOST.match(text) and not text.endswith(".difypkg"):
        return _marketplace(*plugin.groups(), said=text)
    if release := _GITHUB.fullmatch(text):
        return _github(*release.groups(), said=text)
    return _from_address(text, marketplace_hosts)


def _from_address(text: str, marketplace_hosts: frozenset[str]) -> Source | LocalFile:
    try:
        address = urlsplit(f"https://{text}" if _BARE_HOST.match(text) else text)
        host = (address.hostname or "").lower()
    except ValueError as error:
        raise _unclear(f"{text[:200]!r} is no web address: {error}.") from error
    if address.scheme not in {"http", "https"} or not host:
        if text.endswith(".difypkg") and not _SCHEME.match(text):
            return LocalFile(text)
        raise _unclear(f"{text[:200]!r} names no plugin.")
    if address.username is not None or address.password is not None:
        raise _unclear(
            "The address has a user name or a password in it, which would be kept with the task.",
            hint="Take it out; download a protected package yourself and give the file.",
        )
    path = [unquote(part) for part in address.path.split("/") if part]
    if host in marketplace_hosts:
        return _from_marketplace_page(path, address)
    if host in GITHUB_HOSTS:
        return _from_github_page(path, address)
    return _url(address)


def _from_marketplace_page(path: list[str], address: SplitResult) -> Source:
    at = next((number for number, part in enumerate(path) if part in {"plugins", "plugin"}), len(path))
    author, name, version, *_ = [*path[at + 1 :], None, None, None]
    if not author or not name:
        return _url(address)
    asked = parse_qs(address.query).get("version", [None])[0]
    return _marketplace(author, name, version or asked, said=address.geturl())


def _from_github_page(path: list[str], address: SplitResult) -> Source:
    """Understand a repository, a release, or the asset of one; other files of GitHub are addresses like any other."""
    said = address.geturl()
    if len(path) < 2:
        raise _unclear(f"{said} names no repository.")
    repo, rest = f"{path[0]}/{path[1].removesuffix('.git')}", path[2:]
    match rest:
        case [] | ["releases"] | ["releases", "latest"] | ["tree", *_]:
            return _github(repo, None, None, said=said)
        case ["releases", "tag", *tag] if tag:
            return _github(repo, "/".join(tag), None, said=said)
        case ["releases", "latest", "download", asset] if asset.endswith(".difypkg"):
            return _github(repo, None, asset, said=said)
        case ["releases", "download", *tag, asset] if tag and asset.endswith(".difypkg"):
            return _github(repo, "/".join(tag), asset, said=said)
    return _url(address)


def _marketplace(author: str, name: str, version: str | None, *, said: str) -> Source:
    try:
        plugin = checked(MarketplaceSource(author=author, name=name, version=version))
    except ValidationError as error:
        raise _wrong(said, error) from error
    return Source(type=SourceType.MARKETPLACE, marketplace=plugin)


def _github(repo: str, tag: str | None, asset: str | None, *, said: str) -> Source:
    try:
        release = checked(GitHubSource(repo=repo, tag=tag, asset=asset))
    except ValidationError as error:
        raise _wrong(said, error) from error
    return Source(type=SourceType.GITHUB, github=release)


def _url(address: SplitResult) -> Source:
    try:
        return Source(type=SourceType.URL, url=checked(UrlSource(url=address.geturl())))
    except ValidationError as error:
        raise _wrong(address.geturl(), error) from error


def _wrong(said: str, error: ValidationError) -> RepackError:
    fault, _, place = str(error).partition(" - at `$.")
    return _unclear(f"{said[:200]!r}: the {place.rstrip('`')} cannot be that ({fault}).")


def _unclear(message: str, *, hint: str | None = None) -> RepackError:
    return RepackError(Reason.INVALID_SPEC, message, hint=hint or _HINT)
