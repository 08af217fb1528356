"""Source distributions that build without an index: their own backend lies in them."""

import io
import tarfile
from pathlib import Path

from fakes.index import WheelFile

BACKEND = '''
"""A build backend of twenty lines (PEP 517): packs one module and whatever `extra` adds."""
import base64, hashlib, os, zipfile

NAME, VERSION, TAG, REQUIRES = {name!r}, {version!r}, {tag!r}, {requires!r}

def get_requires_for_build_wheel(config_settings=None):
    return []

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    module = NAME.replace("-", "_")
    info = f"{{module}}-{{VERSION}}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {{NAME}}", f"Version: {{VERSION}}"]
    metadata += [f"Requires-Dist: {{one}}" for one in REQUIRES]
    files = {{
        f"{{module}}/__init__.py": b"",
        f"{{info}}/METADATA": ("\\n".join(metadata) + "\\n").encode(),
        f"{{info}}/WHEEL": f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {{TAG}}\\n".encode(),
    }}
{body}
    record = "".join(f"{{path}},sha256={{digest(data)}},{{len(data)}}\\n" for path, data in files.items())
    files[f"{{info}}/RECORD"] = (record + f"{{info}}/RECORD,,\\n").encode()
    filename = f"{{module}}-{{VERSION}}-{{TAG}}.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, filename), "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return filename

def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
'''


def source_files(
    name: str, version: str = "1.0", *, tag: str = "py3-none-any", built_requires: tuple[str, ...] = (),
    body: str = "", build_requires: tuple[str, ...] = (),
) -> dict[str, str]:  # fmt: skip
    """Return the files of a project; `body` is code of its build, which may add to `files`."""
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    backend = BACKEND.format(name=name, version=version, tag=tag, requires=list(built_requires), body=indented)
    requires = ", ".join(f'"{one}"' for one in build_requires)
    return {
        "pyproject.toml": (
            f'[project]\nname = "{name}"\nversion = "{version}"\n'
            f'[build-system]\nrequires = [{requires}]\nbuild-backend = "its_backend"\nbackend-path = ["."]\n'
        ),
        "its_backend.py": backend,
    }


def an_sdist(
    name: str, version: str = "1.0", *, requires: tuple[str, ...] = (), stated: tuple[str, ...] | None = None, **more
) -> WheelFile:
    """Return a source archive; `requires` is what its build says, `stated` what its PKG-INFO says (the same)."""
    files = source_files(name, version, built_requires=requires, **more)
    stated = requires if stated is None else stated
    files["PKG-INFO"] = "\n".join(
        ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in stated)]
    )
    return archive_of(name, files, version=version)


def archive_of(name: str, files: dict[str, str], *, version: str = "1.0") -> WheelFile:
    """Return the source archive of a project's files."""
    base, buffer = f"{name.replace('-', '_')}-{version}", io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{base}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return WheelFile(filename=f"{base}.tar.gz", content=buffer.getvalue())


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Lay files out in a folder."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
