"""Signatures of packages as Dify makes and checks them (repackaging.md 4.4).

In the zip's comment: `{"signature": base64, "time": unix}`, RSA PKCS#1 v1.5 with SHA-256 over the sha256 of every entry
in the order of the zip, followed by the time in decimal. Any change of a package voids it, so the old one is read,
noted and dropped; a key of the user's own signs the result.
"""

import base64
import binascii
import json
import zipfile
from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.archive import VERIFICATION_FILE, Member, sha256_of
from repack_worker.plugin import Plugin

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

SIGNED_AT = 315532800
"""1980-01-01: the daemon checks no date, and the same package shall come out with the same bytes."""
_CATEGORIES = ("langgenius", "partner", "community")


class InputSignature(StrEnum):
    """What the signature of the plugin was worth before we touched it."""

    NONE = "Unsigned"
    NOT_CHECKED = "NotChecked"
    """There is one, and no key to check it with."""
    VALID = "Valid"
    INVALID = "Invalid"
    """It is not by the given key, or the package was changed after it was signed."""


def check_input(package: Path, plugin: Plugin, key_file: Path | None) -> InputSignature:
    """Return what the signature of a package is worth; raise when the key file cannot be used."""
    with zipfile.ZipFile(package) as archive:
        comment = archive.comment
    if not comment.strip():
        return InputSignature.NONE
    if key_file is None:
        return InputSignature.NOT_CHECKED
    key = _public_key(key_file)
    digests = (bytes.fromhex(sha256_of(plugin.folder / name)) for name in plugin.names)
    return InputSignature.VALID if is_signed(comment, digests, key) else InputSignature.INVALID


def is_signed(comment: bytes, digests: Iterable[bytes], key: "RSAPublicKey") -> bool:
    """Tell whether the comment is a signature of entries with these digests by this key."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - slow to import and seldom needed
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        claim = json.loads(comment)
        signature, time = base64.b64decode(claim["signature"], validate=True), int(claim["time"])
        key.verify(signature, _payload(digests, time), PKCS1v15(), SHA256())
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error, InvalidSignature):
        return False
    return True


def _payload(digests: Iterable[bytes], time: int) -> bytes:
    return b"".join(digests) + str(time).encode()


class Signer(Struct, frozen=True, dict=True):
    """The user's own key."""

    key_file: Path

    @cached_property
    def _key(self) -> "RSAPrivateKey":
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

        pem = _pem(self.key_file, "REPACK_SIGNING_KEY_FILE", "RSA PRIVATE KEY")
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise _wrong("REPACK_SIGNING_KEY_FILE", "holds no RSA key without a passphrase") from error
        if not isinstance(key, RSAPrivateKey):
            raise _wrong("REPACK_SIGNING_KEY_FILE", "holds no RSA key")
        return key

    def check(self) -> None:
        """Raise unless the key can be used: before the work and not after it."""
        assert self._key  # noqa: S101 - loads it

    def members(self, plugin: Plugin) -> list[Member]:
        """Return the file that says in whose name it is signed, with the category that the plugin had."""
        category = _category(plugin)
        return [Member(VERIFICATION_FILE, json.dumps({"authorized_category": category}).encode())]

    def comment(self, digests: Iterable[bytes]) -> bytes:
        """Return the zip's comment for entries with these digests."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

        signature = self._key.sign(_payload(digests, SIGNED_AT), PKCS1v15(), SHA256())
        return json.dumps({"signature": base64.b64encode(signature).decode(), "time": SIGNED_AT}).encode()

    @property
    def public_pem(self) -> str:
        """The public half, in the only form that the daemon reads: PEM, PKCS#1, nothing after the END line."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode().rstrip("\n")


DAEMON_SETTINGS = {
    "FORCE_VERIFYING_SIGNATURE": "true",
    "THIRD_PARTY_SIGNATURE_VERIFICATION_ENABLED": "true",
    "THIRD_PARTY_SIGNATURE_VERIFICATION_PUBLIC_KEYS": "/app/storage/public_keys/dify-repack.pem",
}
"""What the daemon needs to trust the key, besides the public key at the path that the last one names."""


def _category(plugin: Plugin) -> str:
    if VERIFICATION_FILE in plugin.names:
        try:
            given = json.loads(plugin.text_of(VERIFICATION_FILE)).get("authorized_category")
        except (ValueError, AttributeError, RecursionError):
            given = None
        if given in _CATEGORIES:
            return str(given)
    return "langgenius" if plugin.author == "langgenius" else "community"


def _public_key(path: Path) -> "RSAPublicKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        key = load_pem_public_key(_pem(path, "REPACK_MARKETPLACE_KEY_FILE", "PUBLIC KEY"))
    except ValueError as error:
        raise _wrong("REPACK_MARKETPLACE_KEY_FILE", "holds no RSA public key") from error
    if not isinstance(key, RSAPublicKey):
        raise _wrong("REPACK_MARKETPLACE_KEY_FILE", "holds no RSA public key")
    return key


def _pem(path: Path, setting: str, kind: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _wrong(setting, f"cannot be read: {error.strerror}") from error
    if f"{kind}-----".encode() not in content:
        raise _wrong(setting, f"is no PEM file with '-----BEGIN {kind}-----' (PKCS#1, openssl's -traditional)")
    return content


def _wrong(setting: str, fault: str) -> RepackError:
    return RepackError(Reason.INTERNAL, f"{setting} {fault}.", hint=f"Correct {setting}.")
