"""Signatures: the plugin's own is checked and dropped, the result carries the user's. Checked with openssl's rules."""

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from fakes.index import a_wheel
from fakes.plugins import MANIFEST, a_package, plugin_files
from repack_contract.reasons import Reason

OWN, OTHER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


def private_file(folder: Path, key=OWN, form=PrivateFormat.TraditionalOpenSSL) -> Path:
    path = folder / "signing.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    return path


def public_file(folder: Path, key=OWN) -> Path:
    path = folder / "marketplace.pem"
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1))
    return path


def payload(package: Path) -> bytes:
    """What Dify signs, written anew from its description: sha256 of each entry in zip order, then the time."""
    with zipfile.ZipFile(package) as archive:
        digests = b"".join(hashlib.sha256(archive.read(info)).digest() for info in archive.infolist())
        time = json.loads(archive.comment)["time"] if archive.comment else 1700000000
    return digests + str(time).encode()


def signed(package: Path, key=OWN) -> Path:
    signature = key.sign(payload(package), padding.PKCS1v15(), SHA256())
    with zipfile.ZipFile(package, "a") as archive:
        comment = {"signature": base64.b64encode(signature).decode(), "time": 1700000000}
        archive.comment = json.dumps(comment).encode()
    return package


def report_of(result):
    return json.loads(Path(f"{result.artifacts[0].uri}.report.json").read_text())


async def test_the_result_is_signed_with_the_user_s_key_and_says_how_to_trust_it(tmp_path, index, pack, settings):
    index.add(a_wheel("tiny-sdk"))
    with_key = settings.but(signing_key_file=private_file(tmp_path))
    result = await pack(a_package(tmp_path / "tiny.difypkg"), settings=with_key)
    assert result.ok, result.message
    package = Path(result.artifacts[0].uri or "")
    with zipfile.ZipFile(package) as archive:
        names, claim = archive.namelist(), json.loads(archive.comment)
        category = json.loads(archive.read(".verification.dify.json"))
    assert names[-1] == ".verification.dify.json"
    assert category == {"authorized_category": "community"}
    pem = package.with_name(f"{package.name}.public_key.pem").read_bytes()
    assert pem.endswith(b"-----END RSA PUBLIC KEY-----"), "Go refuses anything after that line"
    signature = base64.b64decode(claim["signature"])
    load_pem_public_key(pem).verify(signature, payload(package), padding.PKCS1v15(), SHA256())  # type: ignore[union-attr]
    with pytest.raises(InvalidSignature):
        OTHER.public_key().verify(signature, payload(package), padding.PKCS1v15(), SHA256())
    settings_of_dify = report_of(result)["signature"]["daemonSettings"]
    assert settings_of_dify["THIRD_PARTY_SIGNATURE_VERIFICATION_ENABLED"] == "true"


async def test_a_signed_package_comes_out_with_the_same_bytes_again(tmp_path, index, pack, settings):
    index.add(a_wheel("tiny-sdk"))
    with_key = settings.but(signing_key_file=private_file(tmp_path))
    first = await pack(a_package(tmp_path / "tiny.difypkg"), settings=with_key)
    (tmp_path / "attempt").rename(tmp_path / "first")
    second = await pack(tmp_path / "tiny.difypkg", settings=with_key)
    assert first.artifacts[0].sha256 == second.artifacts[0].sha256


@pytest.mark.parametrize(
    ("author", "given", "category"),
    [("tester", "partner", "partner"), ("langgenius", None, "langgenius"), ("tester", "boss", "community")],
)
async def test_the_category_stays_that_of_the_plugin(tmp_path, index, pack, settings, *, author, given, category):
    index.add(a_wheel("tiny-sdk"))
    files = plugin_files(manifest=MANIFEST.replace("author: tester", f"author: {author}"))
    if given:
        files[".verification.dify.json"] = json.dumps({"authorized_category": given})
    with_key = settings.but(signing_key_file=private_file(tmp_path))
    result = await pack(a_package(tmp_path / "tiny.difypkg", files), settings=with_key)
    with zipfile.ZipFile(result.artifacts[0].uri or "") as archive:
        assert json.loads(archive.read(".verification.dify.json"))["authorized_category"] == category


@pytest.mark.parametrize(
    ("sign_with", "check_with", "worth"),
    [(OWN, OWN, "Valid"), (OTHER, OWN, "Invalid"), (OWN, None, "NotChecked"), (None, OWN, "Unsigned")],
)
async def test_the_signature_of_the_plugin_is_checked_noted_and_dropped(
    tmp_path, index, pack, settings, *, sign_with, check_with, worth
):
    index.add(a_wheel("tiny-sdk"))
    package = a_package(tmp_path / "tiny.difypkg")
    if sign_with:
        signed(package, sign_with)
    key = public_file(tmp_path, check_with) if check_with else None
    result = await pack(package, settings=settings.but(marketplace_key_file=key))
    assert report_of(result)["source"]["signature"] == worth
    with zipfile.ZipFile(result.artifacts[0].uri or "") as archive:
        assert archive.comment == b""


@pytest.mark.parametrize("comment", [b"{", b"[]", b'{"signature": "!", "time": 1}', b'{"signature": 1}', b"\xff"])
async def test_a_comment_that_is_no_signature_is_invalid_and_does_no_harm(tmp_path, index, pack, settings, comment):
    index.add(a_wheel("tiny-sdk"))
    package = a_package(tmp_path / "tiny.difypkg")
    with zipfile.ZipFile(package, "a") as archive:
        archive.comment = comment
    with_key = settings.but(marketplace_key_file=public_file(tmp_path))
    result = await pack(package, settings=with_key)
    assert result.ok
    assert report_of(result)["source"]["signature"] == "Invalid"


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, None])
async def test_a_key_that_cannot_be_used_is_named_before_the_work(tmp_path, index, pack, settings, form):
    path = private_file(tmp_path, form=form) if form else tmp_path / "absent.pem"
    result = await pack(a_package(tmp_path / "tiny.difypkg"), settings=settings.but(signing_key_file=path))
    assert result.reason == Reason.INTERNAL
    assert "REPACK_SIGNING_KEY_FILE" in (result.message or "")
    assert index.seen == []
