"""The values of the chart: names, types, defaults and what they mean. The one source of them.

`chartgen.files` makes of it values.yaml, values.schema.json and the table in the chart's README.
"""

from typing import Literal

from pydantic import Field

from chartgen.base import (
    CaBundle,
    KubeList,
    KubeObject,
    Name,
    Namespace,
    ObjectKey,
    Place,
    Pod,
    RenderMode,
    Texts,
    Values,
)
from chartgen.dashboard import Dashboard


class Image(Values):
    """One image."""

    repository: str
    """Name, below `images.registry`."""
    tag: str = ""
    """Tag; the chart's appVersion when empty."""
    digest: str = Field(default="", pattern=r"^$|^sha256:[0-9a-f]{64}$")
    """Digest; wins over the tag. Pin it in production."""


class Images(Values):
    """Every image of the installation: what a closed network has to mirror."""

    registry: str = ""
    """Host (and path) in front of every repository, such as `registry.example.com/mirror`."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When images are pulled; with digests `IfNotPresent` is always right."""
    pull_secrets: list[Name] = []
    """Names of Secrets for a private registry; the workers need them in the namespaces of the tasks too."""
    operator: Image = Image(repository="dify-repack/operator")
    """Of the operator."""
    dashboard: Image = Image(repository="dify-repack/dashboard")
    """Of the dashboard, and of `helm test`."""
    worker: Image = Image(repository="dify-repack/worker")
    """Of the workers; `dify-repack/worker-build` has compilers."""


class Crds(Values):
    """The CustomResourceDefinition."""

    enabled: bool = True
    """Install and upgrade it with the chart; else apply `crds/repackagetasks.yaml` yourself."""
    keep: bool = True
    """Keep it, and with it all tasks, when the release is uninstalled."""


class Rbac(Values):
    """Rights."""

    create: bool = True
    """Make the roles and their bindings."""
    scope: Literal["cluster", "namespaces"] = "cluster"
    """`cluster`: tasks of all namespaces (or of `namespaces`) by ClusterRole; `namespaces`: by Roles in those only."""
    aggregate_roles: bool = True
    """Let the cluster's own roles view, edit and admin include RepackageTasks."""


class LeaderElection(Values):
    """Which of several operators works."""

    enabled: bool | None = None
    """Elect by a Lease; null does so with more than one replica."""


class Operator(Pod):
    """The operator."""

    replicas: int = Field(default=1, ge=0)
    """How many; one works, the others wait to take over."""
    resources: KubeObject = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
    """Requests and limits."""
    leader_election: LeaderElection = LeaderElection()
    """Which of several works."""
    max_concurrent: int = Field(default=4, ge=1)
    """Tasks that run at one time."""
    max_per_namespace: int | None = Field(default=None, ge=1)
    """Of these, so many of one namespace at most; null sets no bound."""
    namespace_weights: dict[str, float] = {}
    """Weights of namespaces in the queue; one that is not named has 1."""
    default_ttl_seconds: int | None = Field(default=None, ge=0)
    """Seconds after which ended tasks that do not say it themselves are deleted; null keeps them."""
    kubernetes_events: bool = True
    """Write Kubernetes Events, which `kubectl describe` shows; two calls a task."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""


class Proxy(Values):
    """An HTTP proxy for workers."""

    http: str = ""
    """For `http://` addresses."""
    https: str = ""
    """For `https://` addresses."""
    no_proxy: str = ".svc,.cluster.local,localhost,127.0.0.1"
    """What is reached without it; the dashboard must be."""


class Worker(Values):
    """The Jobs."""

    service_account_name: Name = ""
    """Service account, in the namespaces of the tasks; it needs no rights. The default one when empty."""
    env: Texts = {}
    """Further settings: environment variables by name."""
    env_from_secrets: list[Name] = []
    """Secrets in the namespaces of the tasks whose keys become environment variables: `REPACK_INDEX_URL` with a
    password, `HTTPS_PROXY` with one, `REPACK_GITHUB_TOKEN`."""
    index_url: str = ""
    """Package index for tasks that name none; the public one when empty."""
    signing_key: ObjectKey = ObjectKey(key="private.pem")
    """Secret, in the namespaces of the tasks, with the RSA key that signs packages; unsigned without."""
    netrc: ObjectKey = ObjectKey(key="netrc")
    """Secret, in the namespaces of the tasks, with a netrc file: credentials of package indexes."""
    allowed_private_hosts: list[str] = []
    """Names, addresses and networks that may be private (`REPACK_ALLOWED_PRIVATE_HOSTS`); that of `indexUrl` may."""
    wheel_store: Place = Place()
    """An object store whose wheels all workers share, in place of the dashboard's cache; its credentials come from
    `envFromSecrets`, or from the workload identity of `serviceAccountName`."""
    ca_bundle: CaBundle = CaBundle()
    """A private certificate authority; the ConfigMap is in the namespaces of the tasks."""
    proxy: Proxy = Proxy()
    """A proxy."""
    profiles: dict[str, KubeObject] = {"default": {"memory": ["1Gi", "2Gi"], "cpu": "1", "storage": "8Gi"}}
    """Runtime profiles by name: image, memory (sizes in turn), cpu, storage, nodeSelector, serviceAccount,
    runtimeClass."""


class NetworkPolicies(Values):
    """NetworkPolicies, where the cluster enforces them."""

    enabled: bool = True
    """Make them."""
    dashboard_from: KubeList = []
    """Who may reach the dashboard (NetworkPolicy peers); empty is anybody."""
    metrics_from: KubeList = []
    """Who may reach the operator's metrics; empty is anybody."""
    api_server_ports: list[int] = [443, 6443]
    """Ports of the API server."""
    redis_ports: list[int] = [6379]
    """Ports of Redis."""
    object_store_ports: list[int] = [443]
    """Ports of the dashboard's object store, and of what gives it credentials (GKE's metadata server: 80 and 988)."""
    job_namespaces: list[Namespace] = []
    """Namespaces of tasks, beside `namespaces` and that of the release, in which Jobs get a policy."""
    job_ports: list[int] = [80, 443]
    """Ports to which Jobs may connect: package indexes, plugins, proxies."""
    job_blocks_private: bool = False
    """Keep Jobs from private addresses (not from the dashboard); no package of a private index then."""


class PriorityClass(Values):
    """A PriorityClass for operator and dashboard."""

    create: bool = False
    """Make it."""
    value: int = 1000000
    """Its value."""


class Monitors(Values):
    """ServiceMonitor of the dashboard and PodMonitor of the operator, for the Prometheus operator."""

    enabled: bool = False
    """Make them."""
    render_mode: RenderMode = "skipIfMissing"
    """What to do where the Prometheus operator's kinds are not installed."""
    labels: Texts = {}
    """Labels by which your Prometheus finds them."""
    interval: str = "30s"
    """Time between two scrapes."""


class Rules(Values):
    """PrometheusRule with alerts."""

    enabled: bool = False
    """Make it."""
    render_mode: RenderMode = "skipIfMissing"
    """What to do where the kind is not installed."""
    labels: Texts = {}
    """Labels by which your Prometheus finds it."""


class GrafanaDashboards(Values):
    """ConfigMap with Grafana dashboards, for its sidecar."""

    enabled: bool = False
    """Make it."""
    labels: Texts = {"grafana_dashboard": "1"}
    """Labels by which the sidecar finds it."""
    annotations: Texts = {}
    """Annotations, such as the folder."""


class Monitoring(Values):
    """Prometheus and Grafana."""

    monitors: Monitors = Monitors()
    """Scraping."""
    rules: Rules = Rules()
    """Alerts."""
    grafana_dashboards: GrafanaDashboards = GrafanaDashboards()
    """Dashboards."""


class ChartValues(Values):
    """All values."""

    name_override: Name = ""
    """Name of the app in labels and names."""
    fullname_override: Name = ""
    """Name of everything, in place of release and app."""
    common_labels: Texts = {}
    """Labels of everything."""
    namespaces: list[Namespace] = []
    """Namespaces whose tasks are served; empty is all, which needs `rbac.scope: cluster`."""
    images: Images = Images()
    """Every image."""
    crds: Crds = Crds()
    """The CustomResourceDefinition."""
    rbac: Rbac = Rbac()
    """Rights."""
    operator: Operator = Operator()
    """The operator."""
    dashboard: Dashboard = Dashboard()
    """The dashboard."""
    worker: Worker = Worker()
    """The Jobs."""
    network_policies: NetworkPolicies = NetworkPolicies()
    """NetworkPolicies."""
    priority_class: PriorityClass = PriorityClass()
    """A PriorityClass."""
    monitoring: Monitoring = Monitoring()
    """Prometheus and Grafana."""
    extra_objects: list[KubeObject | str] = []
    """Further objects of your own; texts are templates."""
