"""The command lines with which Dify's plugin daemon installs a plugin, by generation (repackaging.md 5.1, 6.2).

Thirteen configurations stand for all released versions: what changed between them is which dependency file is obeyed,
the options of uv, and uv itself. uv's version is the one that the field had with that daemon.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from repack_worker.requirement_lines import REQUIREMENTS

MIRROR = "http://127.0.0.1:9/simple"
"""What stands for PIP_MIRROR_URL: an address at which nobody answers, as on a closed network."""
_PYPROJECT, _LOCK = "pyproject.toml", "uv.lock"


@dataclass(frozen=True)
class Daemon:
    """One configuration."""

    version: str
    """Of the daemon."""
    uv: str | None
    """Version of uv; None for the daemons that used pip, empty for the one that we ship with."""
    names_python: bool = True
    """`uv venv --python 3.12`; the first ones took whatever uv found."""
    reads_pyproject: bool = False
    """pyproject.toml is obeyed before requirements.txt (0.5.3)."""
    mirror: bool = False
    """PIP_MIRROR_URL is set."""
    mirror_prefers_requirements: bool = False
    """With a mirror, requirements.txt is obeyed first again (0.6.3)."""
    frozen: bool = False
    """`--frozen` where there is a uv.lock (0.5.5), unless PLUGIN_IGNORE_UV_LOCK."""
    offline: bool = False
    """`--offline` for uploaded plugins (0.5.4 alone)."""
    own_cache: bool = False
    """UV_CACHE_DIR inside the plugin's folder (0.5.4 to 0.5.8)."""

    @property
    def label(self) -> str:
        """What people call it."""
        notes = [note for note, given in (("mirror", self.mirror),) if given]
        return f"{self.version} {' '.join(f'+{note}' for note in notes)}".strip()

    def venv_command(self, uv: Path | None, python: str) -> list[str | Path]:
        """Return the command that makes `.venv`."""
        if uv is None:
            return [f"python{python}", "-m", "venv", ".venv"]
        return [uv, "venv", ".venv", *(["--python", python] if self.names_python else [])]

    def install_command(self, uv: Path | None, names: Collection[str]) -> list[str | Path] | None:
        """Return the command that installs a plugin of these files; None when it finds none to obey."""
        mirror = ["-i", MIRROR] if self.mirror else []
        if uv is None:
            return [".venv/bin/pip", "install", *mirror, "-r", REQUIREMENTS] if REQUIREMENTS in names else None
        prefers = self.mirror and self.mirror_prefers_requirements and REQUIREMENTS in names
        if self.reads_pyproject and _PYPROJECT in names and not prefers:
            frozen = ["--frozen"] if self.frozen and _LOCK in names else []
            return [uv, "sync", "--no-dev", *frozen, *mirror, "-v", *(["--offline"] if self.offline else [])]
        return [uv, "pip", "install", *mirror, "-r", REQUIREMENTS, "-vvv"] if REQUIREMENTS in names else None


DAEMONS = (
    Daemon("0.0.3", None),
    Daemon("0.0.4", "0.6.5", names_python=False),
    Daemon("0.1.3", "0.7.8"),
    Daemon("0.3.0", "0.8.22", mirror=True),
    Daemon("0.5.2", "0.9.18"),
    Daemon("0.5.3", "0.9.26", reads_pyproject=True),
    Daemon("0.5.3", "0.9.26", reads_pyproject=True, mirror=True),
    Daemon("0.5.4", "0.10.9", reads_pyproject=True, offline=True, own_cache=True),
    Daemon("0.5.6", "0.11.3", reads_pyproject=True, frozen=True, own_cache=True),
    Daemon("0.5.9", "0.11.7", reads_pyproject=True),
    Daemon("0.6.1", "0.11.17", reads_pyproject=True, frozen=True, mirror=True),
    Daemon("0.6.10", "", reads_pyproject=True, frozen=True),
    Daemon("0.6.10", "", reads_pyproject=True, frozen=True, mirror=True, mirror_prefers_requirements=True),
)
"""The thirteen, oldest first. `PLUGIN_IGNORE_UV_LOCK` (0.5.9) shows as a missing `--frozen`."""
NEWEST = DAEMONS[-2:]
CURRENT = DAEMONS[-2]
"""The newest one without a mirror: the command line of most installations today."""
