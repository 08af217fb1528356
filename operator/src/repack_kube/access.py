"""Where the API server is and how we prove who we are: in the cluster, by a kubeconfig file, or stated outright."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class NoClusterError(Exception):
    """Nothing says where the API server is."""


@dataclass(frozen=True)
class Credentials:
    """What another client (kopf's watches) needs to reach the same API server as we do, at this moment."""

    server: str
    token: str | None
    ca_path: str | None
    certificate_path: str | None
    key_path: str | None
    insecure: bool


class Access:
    """A connection's configuration; the official client keeps its token fresh (projected tokens rotate)."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.configuration.client_session_kwargs = {"trust_env": not self.is_loopback}

    @property
    def server(self) -> str:
        """Base URL of the API server, without a slash at its end."""
        return str(self.configuration.host).rstrip("/")

    @property
    def is_loopback(self) -> bool:
        """Tell whether the API server runs on this machine; then no proxy lies between."""
        return urlsplit(self.server).hostname in _LOOPBACK

    async def headers(self) -> dict[str, str]:
        """Return the headers that authenticate a request; the token is read again when it is a minute old."""
        bearer = (await self.configuration.auth_settings()).get("BearerToken")
        return {"authorization": str(bearer["value"])} if bearer and bearer.get("value") else {}

    async def credentials(self) -> Credentials:
        """Return what another client needs now."""
        header = (await self.headers()).get("authorization")
        return Credentials(
            server=self.server,
            token=header.partition(" ")[2] if header else None,
            ca_path=self.configuration.ssl_ca_cert,
            certificate_path=self.configuration.cert_file,
            key_path=self.configuration.key_file,
            insecure=not self.configuration.verify_ssl,
        )


def access_to(server: str, *, token: str | None = None, ca_file: Path | None = None) -> Access:
    """Return the access to an API server stated outright."""
    configuration = Configuration(host=server.rstrip("/"), ssl_ca_cert=str(ca_file) if ca_file else None)
    if token:
        configuration.api_key["BearerToken"] = f"Bearer {token}"
    return Access(configuration)


def own_namespace() -> str:
    """Return the namespace of the Pod we run in.

    Raises:
        NoClusterError: this is no Pod of a cluster.
    """
    try:
        return _NAMESPACE_FILE.read_text().strip()
    except OSError as error:
        raise NoClusterError(f"this process is in no Pod, so it has no namespace of its own: {error}") from error


async def find_access(*, kubeconfig: Path | None = None, context: str | None = None) -> Access:
    """Return the access by the given kubeconfig file, else that of the Pod we run in.

    Raises:
        NoClusterError: neither is there, or the file is not a kubeconfig.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None:
            load_incluster_config(client_configuration=configuration)
        else:
            await load_kube_config(
                config_file=str(kubeconfig), context=context, client_configuration=configuration, persist_config=False
            )
    except (ConfigException, OSError) as error:
        where = f"the kubeconfig {kubeconfig}" if kubeconfig else "this process (no Pod of a cluster)"
        raise NoClusterError(f"{where} names no API server: {error}") from error
    return Access(configuration)
