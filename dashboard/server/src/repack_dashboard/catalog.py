"""Routes: look around in the Marketplace, asked on the user's behalf, so that the page loads nothing from elsewhere."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from repack_contract.catalog import MarketplaceAuthors, MarketplacePage, MarketplaceVersions
from repack_dashboard import marketplace
from repack_dashboard.marketplace import Marketplace
from repack_dashboard.problems import ProblemError
from repack_dashboard.services import Services
from repack_dashboard.users import UserAccess

Author = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=128)]
# An icon may be an SVG: as an image it runs nothing, and opened by itself it may run nothing either.
_ICON_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cache-Control": "private, max-age=86400",
}


def routes(services: Services) -> APIRouter:
    """Return the routes of the Marketplace."""
    router = APIRouter(prefix="/marketplace", tags=["marketplace"])

    def market() -> Marketplace:
        if services.marketplace is None:
            raise ProblemError(
                404,
                "Looking around in the Marketplace is switched off in this installation.",
                reason="NotFound",
                hint="Set REPACK_DASHBOARD_MARKETPLACE_URL to switch it on; links and uploads work without it.",
            )
        return services.marketplace

    @router.get("/plugins")
    async def search_plugins(
        _access: UserAccess,
        q: Annotated[str, Query(max_length=128)] = "",
        category: Annotated[str, Query(max_length=40, pattern=r"^[a-z-]*$")] = "",
        author: Annotated[str, Query(max_length=64)] = "",
        page: Annotated[int, Query(ge=1, le=1000)] = 1,
        per_page: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> MarketplacePage:
        """Search the Marketplace, the most installed plugins first."""
        return await market().search(marketplace.Query(q.strip(), category, author.strip(), page, per_page))

    @router.get("/featured")
    async def featured_plugins(_access: UserAccess, limit: Annotated[int, Query(ge=1, le=20)] = 12) -> MarketplacePage:
        """Return what the Marketplace itself puts in front."""
        return await market().featured(limit)

    @router.get("/authors")
    async def plugin_authors(_access: UserAccess) -> MarketplaceAuthors:
        """Return the authors of the plugins that are installed most."""
        return MarketplaceAuthors(authors=await market().authors())

    @router.get("/plugins/{author}/{name}")
    async def read_plugin(_access: UserAccess, author: Author, name: Name) -> MarketplaceVersions:
        """Return one plugin and all its versions, newest first."""
        return await market().versions(author, name)

    @router.get(
        "/plugins/{author}/{name}/icon",
        response_class=Response,
        responses={200: {"content": {"image/*": {}}, "description": "The icon."}},
    )
    async def plugin_icon(_access: UserAccess, author: Author, name: Name) -> Response:
        """Return a plugin's icon."""
        kind, data = await market().icon(author, name)
        return Response(data, media_type=kind, headers=_ICON_HEADERS)

    return router
