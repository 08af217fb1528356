"""The tests' package index behind TLS, by a certificate authority that nobody else believes."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from fakes.index import FakeIndex

_DAY = timedelta(days=1)


@contextlib.contextmanager
def secure(index: FakeIndex, folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve the index over TLS; give its address and the path of the authority's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificates(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), index._server.RequestHandlerClass)
    server.index = index  # type: ignore[attr-defined]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}", folder / "authority.pem"
    server.shutdown()
    server.server_close()


def _certificates(folder: Path) -> Path:
    """Write the authority's certificate, and the server's with its key; return the path of the latter."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("tests' authority", "tests")]
    both = []
    for name, key, is_authority in zip(names, keys, (True, False), strict=True):
        builder = x509.CertificateBuilder(
            subject_name=name, issuer_name=names[0], public_key=key.public_key(),
            serial_number=x509.random_serial_number(), not_valid_before=datetime.now(UTC) - _DAY,
            not_valid_after=datetime.now(UTC) + _DAY,
        )  # fmt: skip
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False
        )
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        if is_authority:  # Python 3.13 believes none without it
            may = {"digital_signature": False, "content_commitment": False, "key_encipherment": False,
                   "data_encipherment": False, "key_agreement": False, "key_cert_sign": True, "crl_sign": True,
                   "encipher_only": False, "decipher_only": False}  # fmt: skip
            builder = builder.add_extension(x509.KeyUsage(**may), critical=True)
        else:
            address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
            builder = builder.add_extension(address, critical=False)
        both.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "authority.pem").write_bytes(both[0])
    key_pem = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.pem").write_bytes(both[1] + key_pem)
    return folder / "server.pem"
