"""Types of values, and the groups that several parts of the chart have in common."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

KubeObject = dict[str, Any]
"""A part of a Kubernetes object, which the API server checks."""
KubeList = list[KubeObject]
Texts = dict[str, str]
Name = Annotated[str, Field(pattern=r"^$|^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?([EPTGMk]i?|m)?$")]
RenderMode = Literal["skipIfMissing", "failIfMissing", "alwaysRender"]


class Values(BaseModel):
    """A closed group of values, camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", use_attribute_docstrings=True)


class ServiceAccount(Values):
    """Who the Pod is."""

    create: bool = True
    """Make it."""
    name: Name = ""
    """Its name; made from the release when empty."""
    annotations: Texts = {}
    """Annotations."""


class Pod(Values):
    """What operator and dashboard have in common."""

    service_account: ServiceAccount = ServiceAccount()
    """Its service account."""
    resources: KubeObject = {}
    """Requests and limits."""
    env: Texts = {}
    """Further settings: environment variables by name (the README of dify-repack lists them)."""
    pod_annotations: Texts = {}
    """Annotations of the Pods."""
    pod_labels: Texts = {}
    """Labels of the Pods."""
    node_selector: Texts = {}
    """Node selector."""
    tolerations: KubeList = []
    """Tolerations."""
    affinity: KubeObject = {}
    """Affinity."""
    topology_spread_constraints: KubeList = []
    """Topology spread; with several replicas and none given they are spread over nodes, where that is possible."""
    priority_class_name: Name = ""
    """PriorityClass; that of `priorityClass` when empty and one is created."""
    pod_disruption_budget: bool = True
    """Let a drain take one replica at a time; with one replica there is none, because it would block every drain."""


class CaBundle(Values):
    """A private certificate authority."""

    config_map: Name = ""
    """ConfigMap with the bundle; empty is none."""
    key: str = "ca.crt"
    """Key in it."""


class Place(Values):
    """An object store that exists."""

    url: str = ""
    """`s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`; empty is none."""
    endpoint: str = ""
    """Base URL of a store of your own, such as `https://minio.example.com`; the cloud's when empty."""
    region: str = ""
    """Region of an S3 bucket."""
    path_style: bool = True
    """S3: `endpoint/bucket/key`; false is `bucket.endpoint/key`."""
    allow_http: bool = False
    """Let requests go unencrypted."""


class ObjectKey(Values):
    """A key of a Secret that exists."""

    name: Name = ""
    """Name of the Secret; empty names none."""
    key: str
    """The key in it."""
