"""What serves files inside the cluster under test: plainly, by TLS, to those with a password, as a proxy, slowly.

It runs in a Pod, from a ConfigMap, with the standard library alone. A request in the form of a proxy's (with a whole
address) is answered from the same files, whatever its host is. `/slowly/N/PATH` takes N seconds longer than `PATH`.
"""

import base64
import os
import ssl
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

FOLDER = "/srv"
CERTIFICATE = "/tls/tls.pem"


class Handler(SimpleHTTPRequestHandler):
    """Serves the folder; says who asked through it as a proxy."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments, directory=FOLDER)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer a request."""
        wanted = os.environ.get("LOGIN")  # user:password
        if wanted and self.headers.get("Authorization") != f"Basic {base64.b64encode(wanted.encode()).decode()}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if "://" in self.path:
            print(f"as a proxy: {self.path}", flush=True)
            self.path = urlsplit(self.path).path
        if self.path.startswith("/slowly/"):
            _, _, seconds, rest = self.path.split("/", 3)
            time.sleep(float(seconds))
            self.path = f"/{rest}"
        super().do_GET()


def main() -> None:
    """Serve for ever."""
    server = ThreadingHTTPServer(("", 8000), Handler)
    if os.path.exists(CERTIFICATE):  # noqa: PTH110 - as plain as the rest
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
