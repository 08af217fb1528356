"""Routes: list, find, create, read, cancel, suspend, resume, run again, delete. The cluster decides; we ask it."""

import contextlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, Depends, Query

from repack_contract import naming
from repack_contract.errors import SpecError
from repack_contract.phases import Phase
from repack_contract.source import SourceType
from repack_contract.task import DesiredState, RepackageTask, Spec
from repack_contract.views import NewTask, TaskList, TaskView
from repack_dashboard.eventlog import LogUnavailableError
from repack_dashboard.problems import ProblemError
from repack_dashboard.queries import Filter, page
from repack_dashboard.services import Services
from repack_dashboard.users import Access, UserAccess
from repack_kube.errors import ExistsError, KubeError, NotFoundError

NAME_TRIES = 20
"""So often a derived name that somebody took meanwhile is replaced by the next one."""


def routes(services: Services) -> APIRouter:
    """Return the routes of tasks."""
    router = APIRouter(prefix="/tasks", tags=["tasks"])
    desk = Desk(services)

    @router.get("")
    async def list_tasks(
        access: UserAccess,
        wish: Annotated[Filter, Depends(_filter)],
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        after: Annotated[str | None, Query(alias="continue", max_length=512)] = None,
    ) -> TaskList:
        """List tasks, newest first. `phase` takes several, separated by commas; `q` looks into names and sources."""
        return await desk.list(access, wish, limit=limit, after=after)

    @router.post("", status_code=201)
    async def create_task(access: UserAccess, new: NewTask) -> TaskView:
        """Create a task. Its name is made from the source where none is given."""
        return await desk.create(access, new)

    @router.get("/{uid}")
    async def read_task(access: UserAccess, uid: str) -> TaskView:
        """Return one task."""
        return await services.look_for(uid, access)

    @router.delete("/{uid}", status_code=204)
    async def delete_task(access: UserAccess, uid: str) -> None:
        """Delete a task; its package and log go with it after the time of retention."""
        await desk.delete(access, uid)

    @router.post("/{uid}/cancel")
    async def cancel_task(access: UserAccess, uid: str) -> TaskView:
        """Stop a task for good."""
        return await desk.wish(access, uid, DesiredState.CANCELLED)

    @router.post("/{uid}/suspend")
    async def suspend_task(access: UserAccess, uid: str) -> TaskView:
        """Stop a task until it is resumed."""
        return await desk.wish(access, uid, DesiredState.SUSPENDED)

    @router.post("/{uid}/resume")
    async def resume_task(access: UserAccess, uid: str) -> TaskView:
        """Let a suspended task go on; its work begins again."""
        return await desk.wish(access, uid, DesiredState.ACTIVE)

    @router.post("/{uid}/rerun", status_code=201)
    async def rerun_task(access: UserAccess, uid: str) -> TaskView:
        """Create a new task of the same spec, named `<base>-2`, `-3` and so on."""
        return await desk.rerun(access, uid)

    return router


def _filter(
    namespace: str | None = None,
    name: str | None = None,
    phase: Annotated[str | None, Query(description="Phases, separated by commas.")] = None,
    q: Annotated[str | None, Query(max_length=256)] = None,
) -> Filter:
    try:
        phases = {Phase(part) for part in (phase or "").split(",") if part}
    except ValueError as error:
        known = ", ".join(Phase)
        raise ProblemError(400, f"phase: {error}", hint=f"The phases are {known}.") from error
    return Filter(namespace=namespace, name=name, phases=phases, text=q)


class Desk:
    """Turns wishes into calls of the Kubernetes API, and shows the answer at once."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.board.store

    async def list(self, access: Access, wish: Filter, *, limit: int, after: str | None) -> TaskList:
        """Return a part of the tasks; one that is asked for by its name may be newer than our list."""
        self._services.check_listed()
        # Not for what the user may not see anyway: how long the answer takes would tell whether it is there.
        if wish.namespace and wish.name and access.shows(wish.namespace) and self._is_new(wish.namespace, wish.name):
            with contextlib.suppress(KubeError, LogUnavailableError):
                await self._services.relist.refresh()
        try:
            return page((view for view in self._store if access.shows(view.namespace)), wish, limit=limit, after=after)
        except ValueError as error:
            raise ProblemError(400, str(error), hint="Ask for the first page again.") from error

    def _is_new(self, namespace: str, name: str) -> bool:
        return self._store.find(namespace, name) is None

    async def create(self, access: Access, new: NewTask) -> TaskView:
        """Create the task that a user described."""
        namespace = new.namespace or self._services.settings.namespace
        self._check_namespace(namespace)
        await access.require("create", namespace)
        labels = {} if new.rerun_of is None else {naming.LABEL_RERUN_OF: new.rerun_of}
        upload_name = await self._upload_name(new.spec)
        if new.name is not None:
            return await self._create(_body(new.spec, namespace=namespace, name=new.name, labels=labels))
        base = derived_name(new.spec, upload_name)
        return await self._create_named(
            lambda taken: naming.next_free_name(base, taken=taken), new.spec, namespace=namespace, labels=labels
        )

    async def rerun(self, access: Access, uid: str) -> TaskView:
        """Create the next run of a task."""
        view = self._services.task(uid, access)
        await access.require("create", view.namespace)
        await self._upload_name(view.spec)
        spec = view.spec.model_copy(update={"desired_state": DesiredState.ACTIVE})
        is_rerun = naming.LABEL_RERUN_OF in view.labels
        return await self._create_named(
            lambda taken: naming.rerun_name(view.name, taken=taken, is_rerun=is_rerun),
            spec,
            namespace=view.namespace,
            labels={naming.LABEL_RERUN_OF: view.name},
        )

    async def wish(self, access: Access, uid: str, state: DesiredState) -> TaskView:
        """Say what is wanted of a task now."""
        view = self._services.task(uid, access)
        await access.require("patch", view.namespace)
        if view.status.phase is not None and view.status.phase.is_final:
            raise ProblemError(409, f"{view.name} has ended ({view.status.phase}) and never changes.",
                               hint="Run it again; that makes a new task.")  # fmt: skip
        # With the uid, so that a new task of the same name is not meant by mistake.
        body: dict[str, Any] = {"metadata": {"uid": uid}, "spec": {"desiredState": state.value}}
        task = await self._services.tasks.patch(view.name, body, namespace=view.namespace)
        return await self._show(task)

    async def delete(self, access: Access, uid: str) -> None:
        """Delete a task. That it is gone already is no error."""
        view = self._services.task(uid, access)
        await access.require("delete", view.namespace)
        with contextlib.suppress(NotFoundError):
            await self._services.tasks.delete(view.name, namespace=view.namespace, uid=uid)
        # A finalizer may still hold it, so we look instead of believing; where we cannot, the next list tells.
        with contextlib.suppress(KubeError, LogUnavailableError):
            await self._services.relist.refresh()

    async def _create_named(
        self, choose: Callable[[set[str]], str], spec: Spec, *, namespace: str, labels: dict[str, str]
    ) -> TaskView:
        taken = self._store.names(namespace)
        for _ in range(NAME_TRIES):
            name = choose(taken)
            try:
                return await self._create(_body(spec, namespace=namespace, name=name, labels=labels))
            except ExistsError:
                taken.add(name)
        raise ProblemError(409, "No free name was found for the task.", hint="Give it a name yourself.")

    async def _create(self, body: dict[str, Any]) -> TaskView:
        return await self._show(await self._services.tasks.create(body))

    async def _show(self, task: RepackageTask) -> TaskView:
        with contextlib.suppress(LogUnavailableError):  # the cluster has it; the next list tells the browsers
            await self._services.board.observe(task)
        return self._store.get(task.metadata.uid) or TaskView.of(task)

    def _check_namespace(self, namespace: str) -> None:
        shown = self._services.settings.watch_namespaces
        if shown and namespace not in shown:
            raise ProblemError(403, f"This dashboard does not look after the namespace {namespace}.",
                               hint=f"Choose one of: {', '.join(shown)}.", details={"field": "namespace"})  # fmt: skip

    async def _upload_name(self, spec: Spec) -> str | None:
        """Return the file name of the upload that a spec names; an upload that is not there is an error."""
        if spec.source.type is not SourceType.UPLOAD or spec.source.upload is None:
            return None
        found = await self._services.packages.find_upload(spec.source.upload.key)
        if found is None:
            raise SpecError("spec.source.upload.key", "there is no upload with this key", hint="Upload the file again.")
        return found[1].name


def derived_name(spec: Spec, upload_name: str | None) -> str:
    """Return the name that a task gets from its source."""
    source = spec.source
    if source.marketplace is not None:
        text = f"{source.marketplace.name}-{source.marketplace.version or 'latest'}"
    elif source.github is not None:
        text = PurePosixPath(source.github.asset or source.github.repo).name.removesuffix(".difypkg")
    elif source.url is not None:
        text = PurePosixPath(unquote(urlsplit(source.url.url).path)).name.removesuffix(".difypkg")
    else:
        text = (upload_name or "").removesuffix(".difypkg")
    return naming.task_name_from(text)


def _body(spec: Spec, *, namespace: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": naming.API_VERSION,
        "kind": naming.KIND,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": spec.wire(),
    }
