"""What a plugin says of itself: its manifest (repackaging.md 4.2), read without running anything."""

import re
import uuid
from pathlib import Path
from typing import Any

from msgspec import Struct

from repack_contract.choices import Arch
from repack_contract.errors import RepackError, sanitize
from repack_contract.reasons import Reason
from repack_contract.values import PluginInfo
from repack_worker.archive import Unpacked, invalid
from repack_worker.texts import MAX_YAML_BYTES, read_toml, read_yaml, shown

MANIFEST = "manifest.yaml"
_MAX_TEXT_BYTES = 8 << 20
"""Several times the lock of the largest official plugin; a parser needs up to 25 times that in memory."""
_VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){2}(-\w{1,16})?", re.ASCII)
_AUTHOR = re.compile(r"[a-z0-9_-]{1,64}")
_NAME = re.compile(r"[a-z0-9_-]{1,128}")
_CAPABILITIES = ("tools", "models", "endpoints", "agent_strategies", "datasources", "triggers")


class Plugin(Struct, frozen=True):
    """A plugin as unpacked."""

    folder: Path
    names: tuple[str, ...]
    author: str
    name: str
    version: str
    display_name: str
    archs: tuple[str, ...]
    """What `meta.arch` names; empty when it names nothing."""
    checksum: str

    @property
    def identity(self) -> str:
        """How the daemon calls exactly this content."""
        return f"{self.author}/{self.name}:{self.version}@{self.checksum}"

    @property
    def info(self) -> PluginInfo:
        """What status and page show."""
        return PluginInfo(display_name=self.display_name, author=self.author, name=self.name, version=self.version)

    def text_of(self, name: str) -> str:
        """Return a text file of the plugin; raise `InvalidPackage` when it is no text, or too long to be parsed."""
        path = self.folder / name
        if path.stat().st_size > _MAX_TEXT_BYTES:
            raise invalid(f"{name} is larger than {_MAX_TEXT_BYTES >> 20} MiB.")
        try:
            return path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise invalid(f"{name} is not UTF-8 text: {error}.") from error

    def toml_of(self, name: str) -> dict[str, Any]:
        """Return a TOML file of the plugin; raise `InvalidPackage` when it is none."""
        return read_toml(self.text_of(name), name=name)

    def check_target(self, arch: Arch) -> None:
        """Raise `UnsupportedPlatform` when the manifest excludes the target."""
        if self.archs and arch.value not in self.archs:
            raise RepackError(
                Reason.UNSUPPORTED_PLATFORM,
                f"{self.name} {self.version} is not made for linux/{arch.value}: "
                f"its manifest names {', '.join(self.archs)} in meta.arch.",
            )


def read_plugin(unpacked: Unpacked) -> Plugin:
    """Read the manifest; raise `InvalidPackage` naming the field that breaks a rule."""
    manifest = _load_manifest(unpacked)
    author = _text(manifest, "author", matches=_AUTHOR)
    if _is_uuid(author):
        raise _bad("author", "is a UUID, which Dify reserves for remote debugging")
    if manifest.get("type") != "plugin":
        raise _bad("type", f"must be 'plugin', not {shown(manifest.get('type'))}")
    name, version = _text(manifest, "name", matches=_NAME), _text(manifest, "version", matches=_VERSION)
    meta = _mapping(manifest, "meta")
    _check_capabilities(manifest, unpacked.names)
    _check_runner(meta)
    return Plugin(
        folder=unpacked.folder,
        names=unpacked.names,
        author=author,
        name=name,
        version=version,
        display_name=_display_name(manifest) or name,
        archs=_archs(meta),
        checksum=unpacked.checksum,
    )


def _load_manifest(unpacked: Unpacked) -> dict[str, Any]:
    if MANIFEST not in unpacked.names:
        nested = next((name for name in unpacked.names if name.endswith(f"/{MANIFEST}")), None)
        hint = (
            f"Pack the content of the folder {nested.rpartition('/')[0]!r}, not the folder itself." if nested else None
        )
        raise invalid("The package has no manifest.yaml at its root.", hint=hint)
    path = unpacked.folder / MANIFEST
    if path.stat().st_size > MAX_YAML_BYTES:
        raise invalid(f"manifest.yaml is larger than {MAX_YAML_BYTES >> 10} KiB.")
    try:
        manifest = read_yaml(path.read_text("utf-8"), name=MANIFEST)
    except UnicodeDecodeError as error:
        raise invalid(f"manifest.yaml is not UTF-8 text: {error}.") from error
    if not isinstance(manifest, dict):
        raise invalid("manifest.yaml must be a mapping of fields.")
    return manifest


def _bad(field: str, fault: str) -> RepackError:
    return invalid(f"manifest.yaml: {field} {fault}.")


def _text(manifest: dict[str, Any], field: str, *, matches: re.Pattern[str]) -> str:
    value = manifest.get(field)
    if value is None:
        raise _bad(field, "is missing")
    if not isinstance(value, str) or not matches.fullmatch(value):
        raise _bad(field, f"is {shown(value)}, which does not match {matches.pattern}")
    return value


def _mapping(manifest: dict[str, Any], field: str) -> dict[str, Any]:
    value = manifest.get(field)
    if not isinstance(value, dict):
        raise _bad(field, "is missing" if value is None else "must be a mapping")
    return value


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _check_capabilities(manifest: dict[str, Any], names: tuple[str, ...]) -> None:
    plugins, there = _mapping(manifest, "plugins"), set(names)
    found = False
    for capability in _CAPABILITIES:
        paths = plugins.get(capability) or []
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise _bad(f"plugins.{capability}", "must be a list of file names")
        for path in paths:
            found = True
            if path.removeprefix("./") not in there:
                raise _bad(f"plugins.{capability}", f"names {path[:200]!r}, which is not in the package")
    if not found:
        raise _bad("plugins", f"names none of {', '.join(_CAPABILITIES)}")


def _check_runner(meta: dict[str, Any]) -> None:
    runner = _mapping(meta, "runner") if "runner" in meta else {}
    language = runner.get("language", "python")
    if language != "python":
        raise _bad("meta.runner.language", f"is {shown(language)}; only Python plugins exist")


def _archs(meta: dict[str, Any]) -> tuple[str, ...]:
    archs = meta.get("arch") or []
    if not isinstance(archs, list) or not all(arch in ("amd64", "arm64") for arch in archs):
        raise _bad("meta.arch", "must be a list of amd64 and arm64")
    return tuple(archs)


def _display_name(manifest: dict[str, Any]) -> str | None:
    label = manifest.get("label")
    if isinstance(label, dict):
        label = label.get("en_US") or next(iter(label.values()), None)
    if not isinstance(label, str):
        return None
    # Half of a surrogate pair, which YAML can spell, has no place in JSON.
    return sanitize(label.encode("utf-8", "replace").decode(), limit=256)
