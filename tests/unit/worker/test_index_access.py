"""Private and mirror indexes: credentials go to their own host alone, and into no log; locks move to the mirror."""

import base64
from pathlib import Path

import pytest

from fakes.index import FakeIndex, Fault, a_wheel
from fakes.plugins import PYPROJECT, a_lock, a_package, plugin_files
from fakes.sources import an_sdist
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.values import PackageIndex
from repack_worker.environment import Secret
from repack_worker.index_access import IndexAccess
from repack_worker.resolve import index_options

PASSWORD = "hush-hush"
BASIC = f"Basic {base64.b64encode(f'me:{PASSWORD}'.encode()).decode()}"


def with_password(settings, tmp_path, index, **more):
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    secret = {"index_url": index.url, "index_username": "me", "index_password_file": tmp_path / "password"}
    return settings.but(**(secret | more))


def report_of(result):
    return Path(f"{result.artifacts[0].uri}.report.json").read_text()


@pytest.fixture
def private(index):
    """The index answers nobody without the password."""
    index.needs_authorization = BASIC
    return index


async def test_a_private_index_is_asked_with_the_password_and_nothing_tells_it(
    tmp_path, private, pack, settings, listener
):
    private.add(a_wheel("tiny-sdk", requires=("leaf",)), a_wheel("leaf"))
    result = await pack(
        a_package(tmp_path / "tiny.difypkg"), settings=with_password(settings, tmp_path, private), package_index=None
    )
    assert result.ok, result.message
    told = listener.text + report_of(result)
    assert PASSWORD not in told
    assert BASIC not in told
    left = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert not [path for path in left if PASSWORD.encode() in path.read_bytes()]


async def test_a_private_index_without_the_password_says_so(tmp_path, private, pack):
    private.add(a_wheel("tiny-sdk"))
    result = await pack(a_package(tmp_path / "tiny.difypkg"))
    assert result.reason == Reason.INDEX_UNREACHABLE, result.message
    assert "REPACK_INDEX_NETRC_FILE" in (result.hint or "")
    assert "401" in (result.message or "")


async def test_an_index_that_a_task_names_gets_no_password_of_another(tmp_path, index, pack, settings):
    index.add(a_wheel("tiny-sdk"))
    elsewhere = with_password(settings, tmp_path, index, index_url="https://private.test/simple")
    result = await pack(a_package(tmp_path / "tiny.difypkg"), settings=elsewhere)
    assert result.ok, result.message
    assert not [seen for seen in index.seen if "authorization" in seen.headers]


def test_a_netrc_file_names_each_host_its_own(settings, tmp_path):
    (tmp_path / "netrc").write_text("machine a.test login me password hush-hush\ndefault login x password y\n")
    access = IndexAccess(settings.but(index_netrc_file=tmp_path / "netrc"), tmp_path)
    assert access.headers("https://a.test/simple/x/") == {"Authorization": BASIC}
    assert access.headers("https://b.test/simple/x/") == {}
    written = Path(access.environment()["NETRC"])
    assert written.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "wrong",
    [{"index_netrc_file": Path("/nowhere/netrc")}, {"index_username": "me", "index_password_file": Path("/nowhere")},
     {"index_username": "me", "index_password": Secret("x"), "index_url": None}],
)  # fmt: skip
def test_a_secret_that_cannot_be_used_names_its_setting(settings, tmp_path, wrong):
    with pytest.raises(RepackError, match="REPACK_INDEX_"):
        IndexAccess(settings.but(**wrong), tmp_path)


def a_locked_package(tmp_path, index, wheel, base):
    files = plugin_files(requirements=None, pyproject__toml=PYPROJECT)
    files["uv.lock"] = a_lock(index, wheel).replace(index.base, base)
    return a_package(tmp_path / "tiny.difypkg", files)


async def test_a_mirror_that_keeps_its_files_elsewhere_is_asked_for_the_file_by_name(tmp_path, index, pack):
    index.add(wheel := a_wheel("tiny-sdk"))
    package = a_locked_package(tmp_path, index, wheel, "https://files.invalid/packages/other")
    index.fault("/packages/other", Fault(status=404))
    result = await pack(package)
    assert result.ok, result.message


async def test_a_mirror_with_another_file_of_that_name_is_caught_by_the_hash(tmp_path, index, pack):
    wheel = a_wheel("tiny-sdk")
    package = a_locked_package(tmp_path, index, wheel, "https://files.invalid")
    index.add(a_wheel("tiny-sdk", source="import evil"))
    result = await pack(package, package_index=PackageIndex(url=index.url))
    assert result.reason == Reason.CHECKSUM_MISMATCH
    assert "tiny-sdk 1.0" in (result.message or "")


async def test_an_index_that_speaks_html_gives_sources_too(tmp_path, index, pack):
    index.speaks_html = True
    index.add(an_sdist("tiny-sdk", requires=("leaf",)), a_wheel("leaf"))
    result = await pack(a_package(tmp_path / "tiny.difypkg"))
    assert result.ok, result.message


async def test_an_extra_index_is_asked_beside_the_main_one(tmp_path, index, pack):
    index.add(a_wheel("tiny-sdk", requires=("leaf",)))
    with FakeIndex() as extra:
        extra.add(a_wheel("leaf"))
        result = await pack(
            a_package(tmp_path / "tiny.difypkg"), package_index=PackageIndex(url=index.url, extra_urls=[extra.url])
        )
    assert result.ok, result.message
    assert result.artifacts[0].wheels == 2


def test_an_extra_index_alone_does_not_take_the_place_of_the_main_one():
    assert index_options([None, "http://extra.test/simple"]) == ["--index", "http://extra.test/simple"]
    assert index_options(["http://main.test", "http://extra.test"]) == [
        "--default-index", "http://main.test", "--index", "http://extra.test"
    ]  # fmt: skip
