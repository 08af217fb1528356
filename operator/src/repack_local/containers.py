"""A container's spec as a subprocess: its command, its environment, and folders for its volumes."""

import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from repack_local.api.selecting import as_text, value_at
from repack_local.api.statuses import Object

_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")


class ConfigError(Exception):
    """The container needs something that this mode does not have; the kubelet's CreateContainerConfigError."""


@dataclass(frozen=True)
class Prepared:
    """A subprocess that is ready to be started."""

    command: list[str]
    environment: dict[str, str]
    folder: Path
    termination_log: Path


def prepare(
    pod: Object,
    folder: Path,
    *,
    environment: Mapping[str, str],
    ingest_token: str,
    host_variables: frozenset[str] = frozenset(),
) -> Prepared:
    """Make the folders of a pod's one container and return its subprocess.

    Args:
        pod: the pod; its first container counts.
        folder: the pod's own folder; it must exist.
        environment: what every container gets: search path, language, certificates and proxies, settings of workers.
        ingest_token: content of projected service account tokens.
        host_variables: names of variables whose paths are of this machine, whatever is mounted where.

    Raises:
        ConfigError: a volume or a variable of a kind that is not known here.
    """
    container = pod["spec"]["containers"][0]
    places = {volume["name"]: _volume(volume, folder, ingest_token) for volume in pod["spec"].get("volumes") or []}
    mounts = {mount["mountPath"]: _place(mount, places) for mount in container.get("volumeMounts") or []}
    termination_log = folder / "termination-log"
    own = {"HOME": str(_made(folder / "home")), "TMPDIR": str(_made(folder / "tmp"))}
    variables = _variables(container, pod, mounts, host_variables)
    composed = {**environment, **own, **variables, "REPACK_TERMINATION_LOG": str(termination_log)}
    command = [*(container.get("command") or []), *(container.get("args") or [])]
    if not command:
        raise ConfigError("the container names no command, and there is no image here to take it from")
    expanded = [expand(part, variables) for part in command]
    return Prepared([_program(expanded[0]), *expanded[1:]], composed, folder, termination_log)


def _program(name: str) -> str:
    """Return what to run: `python` is the interpreter that runs us, with everything installed."""
    if name in {"python", "python3"}:
        return sys.executable
    return shutil.which(name) or name


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _volume(volume: Object, folder: Path, ingest_token: str) -> Path:
    place = _made(folder / "volumes" / volume["name"])
    if "emptyDir" in volume:
        return place
    for source in (volume.get("projected") or {}).get("sources") or []:
        if "serviceAccountToken" not in source:
            raise ConfigError(f"volume {volume['name']}: only serviceAccountToken is projected here")
        file = place / source["serviceAccountToken"]["path"]
        file.touch(mode=0o600)
        file.write_text(ingest_token)
    if "projected" not in volume:
        raise ConfigError(f"volume {volume['name']}: only emptyDir and projected volumes exist here")
    return place


def _place(mount: Object, places: Mapping[str, Path]) -> Path:
    if mount["name"] not in places:
        raise ConfigError(f"volumeMount {mount['mountPath']}: there is no volume {mount['name']}")
    return places[mount["name"]] / str(mount.get("subPath", ""))


def _variables(
    container: Object, pod: Object, mounts: Mapping[str, Path], host_variables: frozenset[str]
) -> dict[str, str]:
    result: dict[str, str] = {}
    for entry in container.get("env") or []:
        if "valueFrom" in entry:
            result[entry["name"]] = _referenced(entry, pod)
        else:
            value = expand(entry.get("value", ""), result)
            result[entry["name"]] = value if entry["name"] in host_variables else translate(value, mounts)
    return result


def _referenced(entry: Object, pod: Object) -> str:
    path = ((entry["valueFrom"] or {}).get("fieldRef") or {}).get("fieldPath")
    if not path:
        raise ConfigError(f"variable {entry['name']}: only values and fieldRef are known here")
    return as_text(value_at(pod, tuple(path.split("."))))


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by the variable, as the kubelet does; unknown ones stay, `$$` is a dollar."""

    def value(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$"
        return variables.get(match.group(2), match.group())

    return _REFERENCE.sub(value, text)


def translate(value: str, mounts: Mapping[str, Path]) -> str:
    """Return a variable's value with the path of a mount at its beginning replaced by our folder."""
    for mount in sorted(mounts, key=len, reverse=True):
        path = mount.rstrip("/")
        if value == path or value.startswith(f"{path}/"):
            return str(mounts[mount]) + value[len(path) :]
    return value
