"""Marketplace and GitHub against small servers that answer like them, and like the faulty ones between us and them."""

import time

import pytest

from fakes.index import FakeIndex, Fault
from fakes.plugins import a_package
from fakes.sites import FakeSites
from repack_contract.choices import SourceType
from repack_contract.errors import RepackError, SpecError
from repack_contract.reasons import Reason
from repack_contract.values import GitHubSource, MarketplaceSource, Source
from repack_worker.environment import Secret
from repack_worker.fetch import Fetcher
from repack_worker.report import Journal
from repack_worker.sources import Fetched, PluginSource, source_of

PACKAGE = b"the package"


@pytest.fixture
def sites():
    with FakeSites() as sites:
        yield sites


@pytest.fixture
def settings(settings, sites):
    urls = dict.fromkeys(("marketplace_url", "github_url", "github_api_url"), sites.base)
    return settings.but(**urls)


@pytest.fixture
def fetched(tmp_path, settings, listener):
    """Fetch a source, or raise what it raises; nothing but the package stays in the folder."""

    async def fetch(source: Source | PluginSource, *, settings=settings, limit: int = 10_000) -> Fetched:
        folder = tmp_path / "incoming"
        folder.mkdir()
        plugin = source_of(source, settings) if isinstance(source, Source) else source
        journal = Journal(attempt=1, reporters=[listener])
        async with Fetcher(settings) as fetcher:
            try:
                result = await plugin.fetch(folder, fetcher=fetcher, journal=journal, limit=limit)
            except RepackError:
                assert list(folder.iterdir()) == []
                raise
        assert list(folder.iterdir()) == [result.path]
        return result

    return fetch


async def refusal(fetching) -> RepackError:
    with pytest.raises(RepackError) as caught:
        await fetching
    return caught.value


def market(version: str | None = None) -> Source:
    plugin = MarketplaceSource(author="acme", name="tool", version=version)
    return Source(type=SourceType.MARKETPLACE, marketplace=plugin)


def github(tag: str | None = None, asset: str | None = None) -> Source:
    return Source(type=SourceType.GITHUB, github=GitHubSource(repo="acme/tools", tag=tag, asset=asset))


async def test_a_version_of_the_marketplace_is_downloaded_without_a_look_up(sites, fetched):
    sites.publish("acme", "tool", "0.1.0", "0.2.0", package=PACKAGE)
    result = await fetched(market("0.1.0"))
    assert result.path.read_bytes() == PACKAGE
    assert result.origin == "Marketplace acme/tool:0.1.0"
    [seen] = sites.seen
    assert seen.path == "/api/v1/plugins/acme/tool/0.1.0/download"
    assert seen.headers["x-dify-version"]


async def test_without_a_version_the_latest_is_looked_up_and_named_in_the_log(sites, fetched, listener):
    sites.publish("acme", "tool", "0.1.0", "0.2.0", package=PACKAGE)
    result = await fetched(market())
    assert result.origin == "Marketplace acme/tool:0.2.0"
    assert "The latest version of acme/tool is 0.2.0" in listener.text


@pytest.mark.parametrize("version", [None, "9.9.9"])
async def test_a_plugin_that_the_marketplace_does_not_have_is_not_found(fetched, version):
    error = await refusal(fetched(market(version)))
    assert error.reason is Reason.PLUGIN_NOT_FOUND
    assert "acme/tool" in error.message


@pytest.mark.parametrize(
    "answer",
    [
        {"code": 404, "message": "no such plugin", "data": None},
        {"code": 0, "data": {"plugin": {"latest_version": "../../evil"}}},
        {"code": 0, "data": {"plugin": {"latest_version": 1}}},
        {"code": 0, "data": []},
        {},
    ],
)
async def test_an_answer_without_a_usable_version_is_refused(sites, fetched, answer):
    sites.add_page("/api/v1/plugins/acme/tool", answer)
    error = await refusal(fetched(market()))
    assert error.reason is Reason.PLUGIN_NOT_FOUND
    assert str(answer.get("message", "")) in error.message
    assert "acme/tool:1.2.3" in error.hint
    assert len(sites.seen) == 1


@pytest.mark.parametrize("page", ["<!doctype html><title>Sign in</title>", "{", "[" * 50_000])
async def test_a_page_in_place_of_an_answer_names_the_setting(sites, fetched, page):
    sites.add_page("/api/v1/plugins/acme/tool", page, "text/html")
    error = await refusal(fetched(market()))
    assert error.reason is Reason.INDEX_UNREACHABLE
    assert "not JSON" in error.message
    assert ("a web page" in error.message) == page.startswith("<")


async def test_an_answer_without_end_is_cut_at_its_limit(sites, fetched):
    sites.add_page("/api/v1/plugins/acme/tool", b" " * (5 << 20))
    assert (await refusal(fetched(market()))).reason is Reason.PACKAGE_TOO_LARGE


async def test_the_only_package_of_the_latest_release_is_chosen(sites, fetched):
    sites.release("acme/tools", "v2", {"notes.txt": b"x", "tool.difypkg": PACKAGE})
    result = await fetched(github())
    assert result.path.read_bytes() == PACKAGE
    assert result.origin == "github:acme/tools@v2#tool.difypkg"
    assert [seen.path for seen in sites.seen] == [
        "/repos/acme/tools/releases/latest",
        "/acme/tools/releases/download/v2/tool.difypkg",
    ]


async def test_a_tag_with_a_slash_and_a_named_asset_need_no_look_up(sites, fetched):
    sites.release("acme/tools", "release/1", {"a.difypkg": PACKAGE, "b.difypkg": b"other"})
    assert (await fetched(github("release/1", "a.difypkg"))).path.read_bytes() == PACKAGE
    assert len(sites.seen) == 1


async def test_of_two_packages_none_is_guessed_and_both_are_named(sites, fetched):
    sites.release("acme/tools", "v1", {"a.difypkg": b"1", "b.difypkg": b"2"})
    error = await refusal(fetched(github("v1")))
    assert error.reason is Reason.PLUGIN_NOT_FOUND
    assert "a.difypkg, b.difypkg" in error.message
    assert "github:acme/tools@v1#a.difypkg" in error.hint


async def test_an_asset_of_another_name_is_not_found_and_those_there_are_named(sites, fetched):
    sites.release("acme/tools", "v1", {"a.difypkg": b"1"})
    error = await refusal(fetched(github(None, "b.difypkg")))
    assert "has no asset b.difypkg: it has a.difypkg" in error.message


async def test_a_release_without_a_package_says_so(sites, fetched):
    sites.release("acme/tools", "v1", {"a.zip": b"1"})
    assert "none of its 1 assets is a .difypkg" in (await refusal(fetched(github()))).message


@pytest.mark.parametrize("answer", [{"assets": []}, {"tag_name": "v1", "assets": "none"}, {"tag_name": "v1"}])
async def test_an_answer_of_another_shape_is_refused(sites, fetched, answer):
    sites.add_page("/repos/acme/tools/releases/latest", answer)
    assert (await refusal(fetched(github()))).reason is Reason.PLUGIN_NOT_FOUND


async def test_an_asset_that_is_not_the_one_github_published_is_a_mismatch(sites, fetched):
    sites.release("acme/tools", "v1", {"a.difypkg": PACKAGE})
    sites.fault("/releases/download/", Fault(body=b"changed!!!!"))
    assert (await refusal(fetched(github("v1")))).reason is Reason.CHECKSUM_MISMATCH


async def test_a_token_opens_the_api_and_stays_with_it_when_files_lie_elsewhere(sites, fetched, settings, tmp_path):
    (tmp_path / "token").write_text("ghp_secret\n")
    sites.release("acme/tools", "v1", {"a.difypkg": PACKAGE})
    with FakeIndex() as storage:
        sites.fault("/releases/assets/", Fault(status=302, headers={"Location": storage.add_file("blob", PACKAGE)}))
        settings = settings.but(github_token_file=tmp_path / "token")
        result = await fetched(github("v1", "a.difypkg"), settings=settings)
        assert result.path.read_bytes() == PACKAGE
        assert [seen.headers.get("authorization") for seen in sites.seen] == ["Bearer ghp_secret"] * 2
        assert sites.seen[1].headers["accept"] == "application/octet-stream"
        [seen] = storage.seen
        assert "authorization" not in seen.headers
    assert "ghp_secret" not in repr(source_of(github(), settings))


async def test_the_api_cannot_send_the_token_to_another_host(sites, fetched, settings):
    sites.release("acme/tools", "v1", {"a.difypkg": PACKAGE})
    kind, body = sites.pages["/repos/acme/tools/releases/tags/v1"]
    with FakeIndex() as thief:
        sites.pages["/repos/acme/tools/releases/tags/v1"] = (
            kind,
            body.replace(f'"url": "{sites.base}'.encode(), f'"url": "{thief.base}'.encode()),
        )
        settings = settings.but(github_token=Secret("ghp_secret"))
        assert (await fetched(github("v1"), settings=settings)).path.read_bytes() == PACKAGE
        assert thief.seen == []


async def test_a_used_up_rate_of_look_ups_is_told_at_once_with_its_wait(sites, fetched):
    soon = str(int(time.time()) + 1800)
    sites.fault("/repos/", Fault(status=403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": soon}))
    error = await refusal(fetched(github()))
    assert error.reason is Reason.RATE_LIMITED
    assert "to wait 1" in error.message
    assert len(sites.seen) == 1


async def test_a_private_repository_asks_for_a_token(sites, fetched):
    sites.fault("/repos/", Fault(status=401))
    assert "REPACK_GITHUB_TOKEN_FILE" in (await refusal(fetched(github()))).hint


@pytest.mark.parametrize("kind", list(SourceType))
def test_a_source_without_its_part_is_refused_by_its_field(settings, kind):
    with pytest.raises(SpecError, match=f"spec.source.{kind.value.lower()}: is missing"):
        source_of(Source(type=kind), settings)


async def test_a_whole_package_of_the_marketplace_is_repackaged(tmp_path, sites, index, pack, settings):
    from fakes.index import a_wheel  # noqa: PLC0415

    index.add(a_wheel("tiny-sdk"))
    sites.publish("tester", "tiny", "0.0.1", package=a_package(tmp_path / "tiny.difypkg").read_bytes())
    plugin = Source(type=SourceType.MARKETPLACE, marketplace=MarketplaceSource(author="tester", name="tiny"))
    result = await pack(tmp_path, source=source_of(plugin, settings))
    assert result.ok, result.message
    assert result.plugin
    assert result.plugin.version == "0.0.1"
