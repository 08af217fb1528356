"""The values of the dashboard."""

from typing import Literal

from pydantic import Field

from chartgen.base import (
    CaBundle,
    KubeList,
    KubeObject,
    Name,
    ObjectKey,
    Place,
    Pod,
    Quantity,
    RenderMode,
    Texts,
    Values,
)


class Auth(Values):
    """How users of the dashboard prove who they are."""

    mode: Literal["token", "kubernetes", "none"] = "token"
    """`token`: one bearer token for all; `kubernetes`: the cluster's tokens and RBAC; `none`: nobody is asked."""
    existing_secret: ObjectKey = ObjectKey(key="token")
    """Secret with the token (16 characters or more); without one it is generated, and kept across upgrades."""


class Persistence(Values):
    """Where packages, uploads and logs lie."""

    enabled: bool = True
    """Use a PersistentVolumeClaim; without, all of it goes with the Pod."""
    existing_claim: Name = ""
    """A claim that exists; else one is made."""
    storage_class: str | None = None
    """StorageClass; null takes the cluster's default, an empty text none."""
    access_modes: list[Literal["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"]] = ["ReadWriteOnce"]
    """Access modes; more than one replica needs ReadWriteMany."""
    size: Quantity = "20Gi"
    """Size."""
    keep: bool = True
    """Keep the claim when the release is uninstalled."""
    annotations: Texts = {}
    """Annotations."""


class ObjectStore(Place):
    """An object store in place of the volume."""

    existing_secret: Name = ""
    """Secret whose keys become environment variables, such as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    With a cloud's workload identity none is needed: annotate `dashboard.serviceAccount` (Azure: label the Pods too)."""
    ca_bundle: CaBundle = CaBundle()
    """ConfigMap with the private authority of the store's certificate."""


class Redis(Values):
    """A Redis that exists, over which several dashboards share one event log."""

    url: str = ""
    """Its URL, such as `redis://redis:6379/0`; with a password use the Secret."""
    existing_secret: ObjectKey = ObjectKey(key="url")
    """Secret with the URL; wins over `url`."""
    prefix: str = "dify-repack"
    """Prefix of all keys; one per installation."""


class Service(Values):
    """The Service."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Type."""
    port: int = Field(default=80, ge=1, le=65535)
    """Port."""
    annotations: Texts = {}
    """Annotations."""


class Ingress(Values):
    """An Ingress for the page."""

    enabled: bool = False
    """Make one."""
    class_name: Name = ""
    """IngressClass; the cluster's default when empty."""
    host: str = ""
    """Host name."""
    path: str = "/"
    """Path prefix; the page expects to be at the root of its host."""
    tls_secret: Name = ""
    """Secret with the certificate of the host; empty is plain HTTP."""
    annotations: Texts = {
        "nginx.ingress.kubernetes.io/proxy-read-timeout": "3600",
        "nginx.ingress.kubernetes.io/proxy-send-timeout": "3600",
        "nginx.ingress.kubernetes.io/proxy-body-size": "0",
        "nginx.ingress.kubernetes.io/proxy-request-buffering": "off",
    }
    """Annotations; these let WebSockets live for an hour without traffic and uploads be large, with ingress-nginx."""


class HttpRoute(Values):
    """A Gateway API route for the page."""

    enabled: bool = False
    """Make one."""
    render_mode: RenderMode = "failIfMissing"
    """What to do where the Gateway API is not installed."""
    parent_refs: KubeList = []
    """The Gateways."""
    hostnames: list[str] = []
    """Host names."""
    annotations: Texts = {}
    """Annotations."""


class Dashboard(Pod):
    """The dashboard."""

    enabled: bool = True
    """Run it; without, tasks have no progress and no place to publish packages, so only dry runs succeed."""
    replicas: int = Field(default=1, ge=0)
    """How many; more than one needs Redis, and an object store or a volume that all can mount."""
    resources: KubeObject = {"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"memory": "1Gi"}}
    """Requests and limits; about 30 KB for each open page."""
    namespace: Name = ""
    """Namespace of the tasks that the page creates; that of the release when empty."""
    max_upload_bytes: int = Field(default=524288000, ge=1)
    """Largest package that may be uploaded."""
    retention_seconds: int = Field(default=86400, ge=0)
    """Seconds for which files outlive their task."""
    allowed_hosts: list[str] = []
    """Host names under which browsers may call it; empty is any."""
    allowed_origins: list[str] = []
    """Further origins whose pages may use it."""
    trusted_proxies: list[str] = []
    """Networks of your proxies, whose X-Forwarded-For is believed."""
    pre_stop_seconds: int = Field(default=5, ge=0)
    """Before it ends: time for Services and proxies to send nobody here any more."""
    drain_seconds: int = Field(default=10, ge=0)
    """Then: time over which open pages are sent away, one by one."""
    auth: Auth = Auth()
    """Its users."""
    persistence: Persistence = Persistence()
    """Its files."""
    object_store: ObjectStore = ObjectStore()
    """Its files, in an object store; set `persistence.enabled` to false then."""
    redis: Redis = Redis()
    """What several replicas share."""
    service: Service = Service()
    """Its Service."""
    ingress: Ingress = Ingress()
    """An Ingress."""
    http_route: HttpRoute = HttpRoute()
    """A Gateway API route."""
