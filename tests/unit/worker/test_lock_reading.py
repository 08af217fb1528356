"""Reading uv.lock: the same set that `uv export` gives, compared with the real uv on locks that the real uv made."""

import subprocess
import sys
from pathlib import Path

import pytest
import uv
from packaging.requirements import Requirement

from fakes.index import FakeIndex, a_wheel
from repack_contract.choices import Arch
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.lock import plan_from_lock
from repack_worker.platforms import Platform

AMD64 = Platform(arch=Arch.AMD64, python="3.12")


def uv_in(folder: Path, *words: str) -> str:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "UV_CACHE_DIR": str(folder / "uv-cache")}
    command = [uv.find_uv_bin(), *words, "--no-config", "--python", sys.executable]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout


def exported(folder: Path, platform: Platform) -> set[str]:
    text = uv_in(folder, "export", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes", "--no-header",
                 "--no-annotate")  # fmt: skip
    requirements = [Requirement(line) for line in text.splitlines() if line.strip()]
    return {
        str(requirement).partition(";")[0].strip()
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate(dict(platform.environment))
    }


def a_project(folder: Path, index: FakeIndex, dependencies: str, *, more: str = "") -> str:
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "plugin"\nversion = "0"\nrequires-python = ">=3.11"\n'
        f"dependencies = [{dependencies}]\n{more}"
    )
    uv_in(folder, "lock", "--default-index", index.url)
    return (folder / "uv.lock").read_text()


PROJECTS = {
    "a chain": ('"a"', ""),
    "markers of other systems": ('"win; sys_platform == \'win32\'", "b; python_version >= \'3.12\'"', ""),
    "markers of older Pythons": ('"b; python_version < \'3.12\'", "leaf"', ""),
    "an extra": ('"withextra[fast]"', ""),
    "two extras, one of which asks for the other": ('"withextra[all]"', ""),
    "an extra that is not asked for": ('"withextra"', ""),
    "a development group": ('"leaf"', '[dependency-groups]\ndev = ["b"]\n'),
    "an optional dependency of the plugin": ('"leaf"', '[project.optional-dependencies]\nfast = ["b"]\n'),
    "versions that differ by platform": (
        '"forked==1.0; sys_platform == \'linux\'", "forked==2.0; sys_platform != \'linux\'"', "",
    ),
    "a circle": ('"circle-a"', ""),
    "nothing": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", PROJECTS)
def test_the_plan_is_what_uv_export_gives(tmp_path, index, name):
    index.add(
        a_wheel("a", requires=("b",)), a_wheel("b", requires=("leaf", "win; sys_platform == 'win32'")),
        a_wheel("leaf", "3.0"), a_wheel("win"), a_wheel("forked", "1.0"), a_wheel("forked", "2.0"),
        a_wheel("withextra", requires=("b; extra == 'fast'", "leaf; extra == 'tidy'",
                                       "withextra[fast,tidy]; extra == 'all'")),
        a_wheel("circle-a", requires=("circle-b",)), a_wheel("circle-b", requires=("circle-a",)),
    )  # fmt: skip
    dependencies, more = PROJECTS[name]
    lock = a_project(tmp_path, index, dependencies, more=more)
    plan = plan_from_lock(lock, platform=AMD64)
    assert {wheel.pin for wheel in plan.wheels} == exported(tmp_path, AMD64)


def test_the_best_wheel_is_chosen_by_tag(tmp_path, index):
    systems = ("manylinux2014_x86_64", "manylinux_2_28_x86_64", "manylinux_2_39_aarch64", "manylinux_2_40_x86_64")
    for tag in ("py3-none-any", "cp311-abi3-linux_x86_64", *(f"cp312-cp312-{system}" for system in systems)):
        index.add(a_wheel("many", tag=tag))
    plan = plan_from_lock(a_project(tmp_path, index, '"many"'), platform=AMD64)
    assert [wheel.filename for wheel in plan.wheels] == ["many-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"]


HEAD = 'version = 1\nrevision = 3\nrequires-python = ">=3.12"\n[[package]]\nname = "plugin"\nversion = "0"\n'
ROOT = (
    f'{HEAD}source = {{ virtual = "." }}\ndependencies = [{{ name = "x" }}]\n[[package]]\nname = "x"\nversion = "1"\n'
)


@pytest.mark.parametrize(
    ("lock", "reason", "words"),
    [
        ("not = [toml", Reason.INVALID_PACKAGE, "not valid TOML"),
        ("version = 2\npackage = []", Reason.INVALID_PACKAGE, "has version 2"),
        ('version = 1\n[[package]]\nname = "x"\n', Reason.INVALID_PACKAGE, "does not contain the plugin itself"),
        (f'{HEAD}source = {{ virtual = "." }}\ndependencies = [{{ name = "gone" }}]', Reason.INVALID_PACKAGE, "'gone'"),
        (f'{ROOT}source = {{ git = "https://git.test/x" }}', Reason.DEPENDENCY_CONFLICT, "only https with a commit"),
        (f'{ROOT}source = {{ git = "ssh://git.test/x#abc" }}', Reason.DEPENDENCY_CONFLICT, "comes from ssh git"),
        (f'{ROOT}source = {{ directory = "../x" }}', Reason.INVALID_PACKAGE, "folder of its author's machine"),
        (f'{ROOT}source = {{ registry = "r" }}\nsdist = {{}}', Reason.DEPENDENCY_CONFLICT, "no address"),
        (f'{ROOT}source = {{ registry = "r" }}', Reason.NO_WHEEL_FOR_PLATFORM, "no wheels at all"),
        (
            f'{ROOT}wheels = [{{ url = "http://files.test/x-1-py3-none-any.whl" }}]',
            Reason.DEPENDENCY_CONFLICT, "no sha256",
        ),
        ('version = 1\npackage = ["x"]', Reason.INVALID_PACKAGE, "cannot be understood"),
        (HEAD.replace(">=3.12", ">=3.13") + 'source = { virtual = "." }', Reason.DEPENDENCY_CONFLICT, "Python >=3.13"),
    ],
)  # fmt: skip
def test_a_lock_that_cannot_be_used_says_why(lock, reason, words):
    with pytest.raises(RepackError) as caught:
        plan_from_lock(lock, platform=AMD64)
    assert caught.value.reason is reason
    assert words in caught.value.message


def test_a_patch_release_in_requires_python_is_met_by_the_image():
    lock = HEAD.replace(">=3.12", ">=3.12.4,<3.13") + 'source = { virtual = "." }'
    assert plan_from_lock(lock, platform=AMD64).wheels == ()
