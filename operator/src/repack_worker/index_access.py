"""Credentials of package indexes: from a netrc file or a pair of settings, handed to the index's own host alone.

A task may name any index in its spec, so credentials go by host and never by "the index": whoever names a server of
their own gets nothing. uv reads them from the netrc file written here, so they stand in no command line.
"""

import base64
import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.settings import Settings

Credentials = dict[str, tuple[str, str]]


class IndexAccess:
    """Who we are at which host."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """Read the credentials; `folder` is private to the attempt and removed with it.

        Raises:
            RepackError: `Internal`, naming the setting that cannot be read.
        """
        self._credentials = _credentials(settings)
        self._folder = folder

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers for a request to the address; empty where nothing is known of its host."""
        found = self._credentials.get(urlsplit(url).hostname or "")
        if found is None:
            return {}
        token = base64.b64encode(f"{found[0]}:{found[1]}".encode()).decode()
        return {"Authorization": f"Basic {token}"}

    def environment(self) -> dict[str, str]:
        """Return what uv needs: the path of a netrc file that only we can read."""
        if not self._credentials:
            return {}
        path = self._folder / ".netrc"
        if not path.exists():
            lines = [f"machine {host} login {user} password {word}" for host, (user, word) in self._credentials.items()]
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write("\n".join(lines) + "\n")
        return {"NETRC": str(path)}


def _credentials(settings: Settings) -> Credentials:
    found: Credentials = {}
    if settings.index_netrc_file:
        try:
            hosts = netrc.netrc(str(settings.index_netrc_file)).hosts
        except (OSError, netrc.NetrcParseError) as error:
            fault = error.msg if isinstance(error, netrc.NetrcParseError) else error.strerror
            raise _wrong("REPACK_INDEX_NETRC_FILE", f"cannot be read: {fault}") from error
        found = {host: (user, word) for host, (user, _, word) in hosts.items() if user and word and host != "default"}
    word = _password(settings)
    if settings.index_username and word:
        host = urlsplit(settings.index_url or "").hostname
        if not host:
            raise _wrong("REPACK_INDEX_USERNAME", "belongs to the host of REPACK_INDEX_URL, which is not set")
        found[host] = (settings.index_username, word)
    return found


def _password(settings: Settings) -> str:
    if settings.index_password_file:
        try:
            return settings.index_password_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _wrong("REPACK_INDEX_PASSWORD_FILE", f"cannot be read: {type(error).__name__}") from error
    return settings.index_password.reveal() if settings.index_password else ""


def _wrong(setting: str, fault: str) -> RepackError:
    return RepackError(Reason.INTERNAL, f"{setting} {fault}.", hint=f"Correct {setting}.")
