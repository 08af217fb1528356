"""Where plugins come from: each source brings one `.difypkg` into a folder."""

from repack_contract.choices import SourceType
from repack_contract.errors import SpecError
from repack_contract.values import Source
from repack_worker.settings import Settings
from repack_worker.sources.base import Fetched, PluginSource
from repack_worker.sources.github import GitHubSource
from repack_worker.sources.marketplace import MarketplaceSource
from repack_worker.sources.places import FileSource, UploadSource, UrlSource

__all__ = [
    "Fetched",
    "FileSource",
    "GitHubSource",
    "MarketplaceSource",
    "PluginSource",
    "UploadSource",
    "UrlSource",
    "source_of",
]


def source_of(source: Source, settings: Settings) -> PluginSource:
    """Return the source that a spec names; raise `SpecError` when it names none."""
    match source.type:
        case SourceType.URL if url := source.url:
            return UrlSource(url=url.url, sha256=url.sha256)
        case SourceType.UPLOAD if upload := source.upload:
            if not settings.ingest_url:
                raise SpecError("spec.source.upload", "there is no dashboard to fetch the upload from")
            return UploadSource(key=upload.key, ingest_url=settings.ingest_url, token_file=settings.ingest_token_file)
        case SourceType.MARKETPLACE if plugin := source.marketplace:
            return MarketplaceSource(
                base_url=settings.marketplace_url, author=plugin.author, name=plugin.name, version=plugin.version
            )
        case SourceType.GITHUB if release := source.github:
            return GitHubSource(
                base_url=settings.github_url,
                api_url=settings.github_api_url,
                repo=release.repo,
                tag=release.tag,
                asset=release.asset,
                token=settings.token_for_github,
            )
    raise SpecError(f"spec.source.{source.type.value.lower()}", "is missing")
