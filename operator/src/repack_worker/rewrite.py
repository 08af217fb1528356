"""Making a plugin install from `./wheels`: mode RequirementsOnly (repackaging.md 6.1, step 6, mode A).

Which file the daemon obeys depends on its version: `pyproject.toml` since 0.5.3, its lock since 0.5.5. With only a
pinned and hashed `requirements.txt` left, all of them do the same thing, and pip and uv check every hash again there.
"""

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from msgspec import Struct

from repack_contract.choices import Arch
from repack_worker.archive import VERIFICATION_FILE, Member
from repack_worker.plan import Plan, Wheel
from repack_worker.platforms import cpus
from repack_worker.plugin import MANIFEST, Plugin
from repack_worker.requirement_lines import REQUIREMENTS

WHEELS = "wheels"
DROPPED = frozenset({"pyproject.toml", "uv.lock", "uv.toml", ".python-version", VERIFICATION_FILE, REQUIREMENTS})
"""What would decide the installation in place of our requirements.txt, and the signature's category, now void."""
IGNORE_FILES = (".difyignore", ".gitignore")
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML has it. Only for manifests that were read by `texts.py` before: none that nests deep."""
_LONGEST_IGNORE_FILE = 1 << 20
"""A longer one is none, and stays as it is."""


class Pin(Struct, frozen=True):
    """One version of one distribution, with the wheels that may serve."""

    name: str
    version: str
    sha256s: tuple[str, ...]
    machine: str | None
    """The only CPU it is for; None when it is for all CPUs of the package."""

    @property
    def requirement(self) -> str:
        """As PEP 508 has it."""
        marker = f" ; platform_machine == '{self.machine}'" if self.machine else ""
        return f"{self.name}=={self.version}{marker}"

    @property
    def line(self) -> str:
        """As requirements.txt has it: pip and uv then check every hash again."""
        return " ".join([self.requirement, *(f"--hash=sha256:{sha256}" for sha256 in self.sha256s)])


def pins(plans: Sequence[Plan]) -> tuple[Pin, ...]:
    """Return the pins of a package: one line where its CPUs agree, one a CPU where they do not."""
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for plan in plans:
        for wheel in plan.wheels:
            found[wheel.name, wheel.version][plan.platform.machine] = wheel.sha256
    return tuple(
        Pin(
            name=name,
            version=version,
            sha256s=tuple(sorted(set(hashes.values()))),
            machine=None if len(hashes) == len(plans) else next(iter(hashes)),
        )
        for (name, version), hashes in sorted(found.items())
    )


def requirements_text(plans: Sequence[Plan]) -> str:
    """Return the requirements.txt: no index, every wheel pinned and hashed.

    The literal `dify-plugin==` matters: the daemon reads the file as text to learn the SDK's version (5.1).
    """
    lines = [pin.line for pin in pins(plans)]
    # uv refuses a folder that is not there, as in a package without any wheel.
    folder = [f"--find-links ./{WHEELS}"] if lines else []
    return "\n".join(["--no-index", *folder, *lines]) + "\n"


def rewritten(plugin: Plugin, arch: Arch, plans: Sequence[Plan], files: Mapping[Wheel, Path]) -> list[Member]:
    """Return the members of the offline package."""
    members = [_kept(plugin, name, arch) for name in plugin.names if not _is_dropped(name)]
    members.append(Member(REQUIREMENTS, requirements_text(plans).encode()))
    members += [
        Member(f"{WHEELS}/{wheel.filename}", files[wheel], stored=True, sha256=wheel.sha256)
        for wheel in wheels_of(plans)
    ]
    return members


def wheels_of(plans: Sequence[Plan]) -> tuple[Wheel, ...]:
    """Return the wheels of all CPUs, one that serves several only once."""
    unique = {wheel.filename: wheel for plan in plans for wheel in plan.wheels}
    return tuple(unique[name] for name in sorted(unique))


def kept_bytes(plugin: Plugin, arch: Arch) -> int:
    """Return the size of what stays of the plugin, unpacked: with the wheels it is the size of the package."""
    return sum(_kept(plugin, name, arch).size for name in plugin.names if not _is_dropped(name))


def _is_dropped(name: str) -> bool:
    return name in DROPPED or name.startswith(f"{WHEELS}/")


def _kept(plugin: Plugin, name: str, arch: Arch) -> Member:
    path = plugin.folder / name
    if name in IGNORE_FILES and path.stat().st_size <= _LONGEST_IGNORE_FILE:
        return Member(name, without_wheels_rule(path.read_bytes()))
    if name == MANIFEST:
        return Member(name, narrowed(path.read_text("utf-8"), arch).encode())
    return Member(name, path)


def without_wheels_rule(content: bytes) -> bytes:
    """Return an ignore file without the rules that hide wheels, for those who pack the result again with Dify's CLI."""
    hiding = {b"wheels", b"*.whl", b"wheels/*", b"wheels/**", b"**/wheels", b"wheels/*.whl"}
    lines = content.splitlines(keepends=True)
    return b"".join(line for line in lines if line.strip().strip(b"/") not in hiding)


@functools.lru_cache(maxsize=8)
def narrowed(manifest: str, arch: Arch) -> str:
    """Return the manifest with `meta.arch` reduced to the target's CPUs, everything else as its author wrote it."""
    names = [cpu.value for cpu in cpus(arch)]
    node = _arch_node(yaml.compose(manifest, Loader=_LOADER))
    if node is None or not node.value or sorted(item.value for item in node.value) == names:
        return manifest
    if node.flow_style:
        start, end, text = node.start_mark.index, node.end_mark.index, f"[{', '.join(names)}]"
    else:  # a block's own end is where the next key starts: that of its last item is exact
        start, end = node.start_mark.index, node.value[-1].end_mark.index
        text = f"\n{' ' * node.start_mark.column}".join(f"- {name}" for name in names)
    changed = manifest[:start] + text + manifest[end:]
    expected = yaml.load(manifest, Loader=_LOADER)  # noqa: S506 - a safe loader
    expected["meta"]["arch"] = names
    # Text was cut by position: were the result anything but the same manifest, the original is the safer one.
    return changed if yaml.load(changed, Loader=_LOADER) == expected else manifest  # noqa: S506 - as above


def _arch_node(root: yaml.Node | None) -> yaml.SequenceNode | None:
    node: yaml.Node | None = root
    for field in ("meta", "arch"):
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for key, value in node.value if key.value == field), None)
    return node if isinstance(node, yaml.SequenceNode) else None


def package_name(plugin: Plugin, *, arch: Arch, suffix: str) -> str:
    """Return the file name of the package: Dify's own pattern, the target, and the task's suffix."""
    return f"{plugin.author}-{plugin.name}_{plugin.version}-linux-{arch.value}-{suffix}.difypkg"
