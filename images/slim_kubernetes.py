"""Leave out of an image what nobody uses of the package `kubernetes`: its synchronous half, and all models.

`repack_kube` speaks dicts, not models (operator.md 5), so of the official client it needs the configuration, the
loaders of credentials and the HTTP client. The package itself imports everything at once; here its `__init__` files
are written anew, so that what is left imports what is left. The image's build then imports `repack_kube` from the
result, and the end-to-end suite runs on it.

    python slim_kubernetes.py SITE_PACKAGES
"""

import sys
from pathlib import Path

KEPT = (
    "aio/client/api_client.py",
    "aio/client/api_response.py",
    "aio/client/configuration.py",
    "aio/client/exceptions.py",
    "aio/client/rest.py",
    "aio/config/__init__.py",
    "aio/config/config_exception.py",
    "aio/config/dateutil.py",
    "aio/config/exec_provider.py",
    "aio/config/google_auth.py",
    "aio/config/incluster_config.py",
    "aio/config/kube_config.py",
    "aio/config/openid.py",
    "aio/utils/_retry_base.py",
    "aio/utils/retry.py",
)
WRITTEN = {
    "__init__.py": "",
    "aio/__init__.py": "",
    "aio/client/__init__.py": (
        "from .api_client import ApiClient\nfrom .configuration import Configuration\n"
        "from .exceptions import ApiException\n"
    ),
    "aio/client/models/__init__.py": "",
    "aio/utils/__init__.py": "",
}
"""The new `__init__` files; each keeps the names that the kept modules ask it for."""


def main(site_packages: Path) -> None:
    """Slim the package in place."""
    package = site_packages / "kubernetes"
    version = next(
        line for line in (package / "__init__.py").read_text().splitlines() if line.startswith("__version__")
    )
    missing = [name for name in KEPT if not (package / name).is_file()]
    if missing:
        raise SystemExit(f"the package kubernetes has changed ({version}): {', '.join(missing)} is not there any more")
    for path in sorted(package.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(package).as_posix() not in KEPT:
            path.unlink()
    for name, text in WRITTEN.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(f"{version}\n{text}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
