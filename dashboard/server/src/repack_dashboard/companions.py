"""Route: which files lie beside the packages of a task, so that the page offers those that are there and no others."""

from fastapi import APIRouter

from repack_contract.views import PackageCompanions
from repack_dashboard.services import Services
from repack_dashboard.users import UserAccess


def routes(services: Services) -> APIRouter:
    """Return the route of companions."""
    router = APIRouter(tags=["packages"])

    @router.get("/tasks/{uid}/companions")
    async def list_companions(access: UserAccess, uid: str) -> list[PackageCompanions]:
        """Return what lies beside each package: `<uri of the package>/<kind>` brings it."""
        view = services.task(uid, access)
        names = [(artifact.target, artifact.name) for artifact in view.status.artifacts or () if artifact.name]

        return [
            PackageCompanions(
                target=target, kinds=[kind.value for kind in await services.packages.companions(uid, name)]
            )
            for target, name in names
        ]

    return router
