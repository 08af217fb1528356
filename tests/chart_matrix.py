"""Sets of values that the chart is tested with, by name."""

from typing import Any

Values = dict[str, Any]

MATRIX: dict[str, Values] = {
    "default": {},
    "namespaces": {"rbac": {"scope": "namespaces"}, "namespaces": ["team-a", "team-b"], "operator": {"replicas": 2}},
    "closed-network": {
        "images": {
            "registry": "registry.example.com/mirror",
            "pullSecrets": ["registry"],
            **{name: {"digest": f"sha256:{digit * 64}"} for name, digit in (("operator", "a"), ("dashboard", "b"))},
            "worker": {"repository": "dify-repack/worker-build", "tag": "1.2.3"},
        },
        "worker": {
            "indexUrl": "https://index.example.com/simple",
            "envFromSecrets": ["index-credentials"],
            "signingKey": {"name": "signing-key"},
            "netrc": {"name": "index-logins", "key": "logins"},
            "caBundle": {"configMap": "company-ca"},
            "proxy": {"https": "http://proxy.example.com:3128"},
            "env": {"REPACK_CONNECTIONS": "8"},
        },
        "networkPolicies": {"jobBlocksPrivate": True, "jobPorts": [443, 3128]},
    },
    "highly-available": {
        "operator": {"replicas": 2, "maxPerNamespace": 2, "namespaceWeights": {"team-a": 3, "team-b": 0.5}},
        "dashboard": {
            "replicas": 3,
            "redis": {"existingSecret": {"name": "redis"}},
            "persistence": {"accessModes": ["ReadWriteMany"], "storageClass": "nfs"},
            "auth": {"mode": "kubernetes"},
        },
        "priorityClass": {"create": True},
    },
    "object-store": {
        "dashboard": {
            "replicas": 2,
            "redis": {"existingSecret": {"name": "redis"}},
            "persistence": {"enabled": False},
            "objectStore": {
                "url": "s3://packages/dify-repack",
                "endpoint": "https://minio.example.com:9000",
                "region": "eu-central-1",
                "existingSecret": "store-keys",
                "caBundle": {"configMap": "company-ca", "key": "company.pem"},
            },
        },
        "worker": {
            "wheelStore": {"url": "gs://wheels", "pathStyle": False},
            "envFromSecrets": ["wheel-store-keys"],
        },
        "networkPolicies": {"objectStorePorts": [9000]},
    },
    "exposed": {
        "dashboard": {
            "auth": {"existingSecret": {"name": "my-token", "key": "page"}},
            "ingress": {"enabled": True, "className": "nginx", "host": "repack.example.com", "tlsSecret": "cert"},
            "allowedHosts": ["repack.example.com"],
            "trustedProxies": ["10.0.0.0/8"],
            "persistence": {"existingClaim": "my-claim"},
        },
        "networkPolicies": {"dashboardFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]},
    },
    "without-page": {
        "dashboard": {"enabled": False},
        "crds": {"enabled": False},
        "networkPolicies": {"enabled": False},
        "operator": {"defaultTtlSeconds": 0, "kubernetesEvents": False},
    },
    "observed": {
        "monitoring": {
            "monitors": {"enabled": True, "labels": {"release": "prometheus"}},
            "rules": {"enabled": True},
            "grafanaDashboards": {"enabled": True, "annotations": {"folder": "Dify"}},
        },
        "commonLabels": {"team": "platform"},
        "extraObjects": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra"}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: text}",
        ],
    },
}
