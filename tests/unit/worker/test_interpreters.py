"""Finding a real Python: a candidate counts only once it has run."""

import sys
from pathlib import Path

import pytest

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker import interpreters
from repack_worker.interpreters import find_interpreter
from repack_worker.settings import Settings

OURS = "{}.{}".format(*sys.version_info[:2])
ABSENT = "3.99"


def a_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(work_dir=tmp_path, python_download=False)


async def test_the_setting_comes_first(tmp_path, settings):
    chosen = tmp_path / "bin" / f"python{OURS}"
    chosen.parent.mkdir()
    chosen.symlink_to(sys.executable)
    found = await find_interpreter(OURS, settings=settings.but(python=chosen))
    assert found.version == OURS
    assert (found.folder / f"python{OURS}").exists()


async def test_a_setting_that_names_no_python_of_the_version_is_an_error_and_not_passed_over(tmp_path, settings):
    shim = a_program(tmp_path / "python3.99", "#!/bin/sh\necho 'pyenv: python3.99: command not found' >&2\nexit 127\n")
    with pytest.raises(RepackError) as caught:
        await find_interpreter(OURS, settings=settings.but(python=shim))
    assert caught.value.reason is Reason.PYTHON_NOT_FOUND
    assert str(shim) in caught.value.message


async def test_the_running_interpreter_is_found(settings):
    assert (await find_interpreter(OURS, settings=settings)).version == OURS


async def test_a_shim_that_refuses_is_passed_over_for_the_next_candidate(tmp_path, settings, monkeypatch):
    """What a machine with pyenv has in its PATH."""
    version = "3.98"
    a_program(tmp_path / "shims" / f"python{version}", "#!/bin/sh\nexit 127\n")
    real = a_program(
        tmp_path / ".pyenv" / "versions" / "3.98.1" / "bin" / f"python{version}",
        f"#!/bin/sh\necho '{version}|cpython|{tmp_path}/.pyenv/versions/3.98.1/bin/python{version}'\n",
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:/usr/bin:/bin")
    found = await find_interpreter(version, settings=settings, home=tmp_path)
    assert found.executable == real


async def test_what_stands_behind_a_shim_is_found_where_pyenv_lies_outside_the_home(tmp_path, settings, monkeypatch):
    version, pyenv = "3.98", tmp_path / "opt" / "pyenv"
    a_program(pyenv / "shims" / f"python{version}", "#!/bin/sh\nexit 127\n")
    real = a_program(
        pyenv / "versions" / "3.98.1" / "bin" / f"python{version}",
        f"#!/bin/sh\necho '{version}|cpython|{pyenv}/versions/3.98.1/bin/python{version}'\n",
    )
    monkeypatch.setenv("PATH", f"{pyenv / 'shims'}:/usr/bin:/bin")
    found = await find_interpreter(version, settings=settings, home=tmp_path / "home")
    assert found.executable == real


async def test_none_at_all_is_an_error_with_the_remedy(tmp_path, settings):
    with pytest.raises(RepackError) as caught:
        await find_interpreter(ABSENT, settings=settings, home=tmp_path)
    assert caught.value.reason is Reason.PYTHON_NOT_FOUND
    assert caught.value.exit_code == 17
    assert "REPACK_PYTHON" in caught.value.hint


async def test_another_implementation_is_not_taken(tmp_path, settings):
    pypy = a_program(tmp_path / f"python{OURS}", f"#!/bin/sh\necho '{OURS}|pypy|/usr/bin/pypy'\n")
    with pytest.raises(RepackError, match="no CPython"):
        await find_interpreter(OURS, settings=settings.but(python=pypy))


def test_the_question_runs_on_every_python(capsys):
    exec(interpreters._ASK)  # noqa: S102
    assert capsys.readouterr().out.startswith(f"{OURS}|cpython|/")
