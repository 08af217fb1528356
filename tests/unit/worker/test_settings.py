"""Settings are read from the environment; one that cannot be read is named, with what may stand there."""

import os
from pathlib import Path

import pytest

from repack_contract.choices import VerificationMethod, VerifyDepth
from repack_contract.errors import RepackError
from repack_worker.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch):
    for name in [name for name in os.environ if name.upper().startswith("REPACK_")]:
        monkeypatch.delenv(name)


def test_without_variables_all_is_at_its_default():
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("connections", "3", 3),
        ("stall_seconds", "1.5", 1.5),
        ("python_download", "false", False),
        ("python_download", "OFF", False),
        ("build_sources", "yes", True),
        ("verify", "full", VerifyDepth.FULL),
        ("isolation", "SeccompFilter", VerificationMethod.SECCOMP_FILTER),
        ("index_url", "https://mirror.test/simple", "https://mirror.test/simple"),
        ("index_url", "true", "true"),
        ("work_dir", "/somewhere", Path("/somewhere")),
        ("allowed_private_hosts", '["10.0.0.0/8", "nexus"]', ["10.0.0.0/8", "nexus"]),
    ],
)
def test_a_variable_is_read_as_what_it_is(monkeypatch, name, text, value):
    monkeypatch.setenv(f"REPACK_{name.upper()}", text)
    assert getattr(load_settings(), name) == value


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("CONNECTIONS", "many", "'many' is not a whole number from 1 to 64"),
        ("CONNECTIONS", "65", "'65' is not a whole number from 1 to 64"),
        ("MAX_PACKAGE_BYTES", "0", "'0' is not a whole number of at least 1"),
        ("STALL_SECONDS", "0", "'0' is not a number above 0"),
        ("VERIFY", "deep", "'deep' is not one of standard, full"),
        ("ISOLATION", "magic", "'magic' is not one of NetworkNamespace, SeccompFilter, OfflineFlags, CrossInstall"),
        ("PYTHON_DOWNLOAD", "perhaps", "'perhaps' is not true or false"),
        ("ALLOWED_PRIVATE_HOSTS", "nexus", "'nexus' is not a JSON list of texts"),
        ("ALLOWED_PRIVATE_HOSTS", "[1]", r"'\[1\]' is not a JSON list of texts"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named_with_what_may_stand_there(monkeypatch, name, text, words):
    monkeypatch.setenv(f"REPACK_{name}", text)
    with pytest.raises(RepackError, match=f"The setting REPACK_{name} is wrong: {words}") as caught:
        load_settings()
    assert caught.value.hint == f"Correct REPACK_{name}."


def test_folders_are_absolute_and_a_home_is_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    settings = Settings(work_dir=Path("here"), cache_dir=Path("~/cache"))
    assert (settings.work_dir, settings.cache_dir) == (tmp_path / "here", Path("/home/me/cache"))


def test_a_secret_is_in_no_text_of_the_settings(monkeypatch):
    monkeypatch.setenv("REPACK_GITHUB_TOKEN", "hush-hush")
    monkeypatch.setenv("REPACK_INDEX_PASSWORD", "hush-hush")
    settings = load_settings()
    assert settings.token_for_github == "hush-hush"
    assert "hush-hush" not in f"{settings} {settings!r}"
