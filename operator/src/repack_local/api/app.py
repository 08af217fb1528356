"""The HTTP side: paths and verbs to calls of `Objects`, failures to Status objects. It holds no state of its own."""

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from repack_local.api import discovery, openapi, streams, tables
from repack_local.api.kinds import NAMESPACES, Resource
from repack_local.api.lists import Page, Pages, check_version, envelope
from repack_local.api.objects import Objects, Write
from repack_local.api.requests import (
    Target,
    deletion,
    is_true,
    number,
    parse_body,
    patch_type,
    predicate,
    target,
    write_options,
)
from repack_local.api.selecting import single_name
from repack_local.api.statuses import ApiError, Object, bad_request, method_not_allowed, no_such_path
from repack_local.api.watching import Entry

log = structlog.get_logger()

LogFile = Callable[[Object], Path | None]
"""Gives the log file of a pod, None where it has none yet."""

_OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version", "/version/"})

USER: Object = {"username": "repack-local", "groups": ["system:masters", "system:authenticated"]}


OnRequest = Callable[[str, str, str], None]
"""Told of every request that shows the token: method, path, User-Agent."""


class App:
    """Answers requests.

    Args:
        objects: what is served.
        token: the Bearer token that opens everything.
        log_file: gives pods' logs.
    """

    def __init__(self, objects: Objects, *, token: str, log_file: LogFile) -> None:
        self._objects = objects
        self._token = token
        self._log_file = log_file
        self._pages = Pages()
        self.on_request: OnRequest = lambda _method, _path, _user_agent: None
        self._verbs: Mapping[str, Callable[[web.BaseRequest, Target], Awaitable[web.StreamResponse]]] = {
            "GET": self._get,
            "POST": self._post,
            "PUT": self._put,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            return await self._answer(request)
        except ApiError as error:
            return _json(error.status(), status=error.code)
        except web.HTTPRequestEntityTooLarge:
            message = "Request entity too large: limit is 1048576"
            return _json(ApiError(413, "RequestEntityTooLarge", message).status(), status=413)
        except ConnectionResetError:
            raise
        except Exception:
            log.exception("the embedded API failed", method=request.method, path=request.path)
            return _json(ApiError(500, "InternalError", "Internal error occurred").status(), status=500)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path in _OPEN_PATHS:
            return _json(discovery.VERSION) if path.startswith("/version") else web.Response(text="ok")
        self._authenticate(request)
        if (about := self._about(path, request.headers.get("Accept", ""))) is not None:
            return about
        self.on_request(request.method, path, request.headers.get("User-Agent", ""))
        verb = self._verbs.get(request.method)
        if verb is None:
            raise method_not_allowed()
        return await verb(request, target(self._objects.registry, path))

    def _authenticate(self, request: web.BaseRequest) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token.encode()):
            raise ApiError(401, "Unauthorized", "Unauthorized")

    def _about(self, path: str, accept: str) -> web.Response | None:
        """Answer what the API says about itself."""
        parts = [part for part in path.split("/") if part]
        registry = self._objects.registry
        if parts[:2] == ["openapi", "v3"]:
            return _json(openapi.answer(registry, parts[2:]))
        if parts[:1] not in (["api"], ["apis"]):
            raise no_such_path()
        if len(parts) == 1 and "as=APIGroupDiscoveryList" in accept and "v=v2;" in f"{accept};".replace(",", ";"):
            return _json(discovery.aggregated(registry, core=parts == ["api"]), content_type=discovery.AGGREGATED)
        document = discovery.answer(registry, parts)
        return None if document is None else _json(document)

    async def _get(self, request: web.BaseRequest, what: Target) -> web.StreamResponse:
        query, resource = request.query, what.resource
        if resource.virtual:
            raise method_not_allowed()
        as_table = "as=Table" in request.headers.get("Accept", "")
        include = query.get("includeObject") or "Metadata"
        if is_true(query, "watch") and not what.subresource:
            return await streams.send_watch(request, self._objects, streams.watch_of(what, query, as_table=as_table))
        if not what.name:
            page = self._list(what, query)
            if not as_table:
                return web.Response(body=envelope(resource, page), content_type="application/json")
            return self._table(resource, [entry.obj for entry in page.entries], page.metadata(), include)
        entry = self._objects.get(resource, *what.place)
        if what.subresource == "log":
            return await self._log(request, what, entry.obj)
        if as_table:
            version = {"resourceVersion": entry.obj["metadata"]["resourceVersion"]}
            return self._table(resource, [entry.obj], version, include)
        return _entry(entry)

    def _table(self, resource: Resource, objs: list[Object], metadata: Object, include: str) -> web.Response:
        shown = tables.table(resource, objs, now=tables.utc_now(), include=include)
        return _json(shown | {"metadata": metadata})

    def _list(self, what: Target, query: Mapping[str, str]) -> Page:
        storage, limit = self._objects.storage, number(query, "limit") or 0
        if token := query.get("continue"):
            return self._pages.next(token, limit=limit)
        check_version(query.get("resourceVersion"), query.get("resourceVersionMatch"), current=storage.version)
        selects = predicate(what.resource, query)
        name = single_name(query.get("fieldSelector"))
        if name and what.namespace is not None:
            one = storage.get(what.resource.key, what.namespace, name)
            entries = [one] if one else []
        else:
            entries = storage.entries(what.resource.key, what.namespace)
        counted = not query.get("labelSelector") and not query.get("fieldSelector")
        if not counted:
            entries = [entry for entry in entries if selects(entry.obj)]
        return self._pages.first(entries, str(storage.version), limit=limit, counted=counted)

    async def _log(self, request: web.BaseRequest, what: Target, pod: Object) -> web.StreamResponse:
        query = streams.log_query(what, request.query, pod)
        path = self._log_file(pod)
        if path is None or not path.exists():
            container = pod["spec"]["containers"][0]["name"]
            raise bad_request(f'container "{container}" in pod "{what.name}" is waiting to start: ContainerCreating')

        def is_over() -> bool:
            entry = self._objects.storage.get(what.resource.key, *what.place)
            if entry is None or entry.obj["metadata"]["uid"] != pod["metadata"]["uid"]:
                return True
            return (entry.obj.get("status") or {}).get("phase") in {"Succeeded", "Failed"}

        return await streams.send_log(request, path, query, is_over=is_over)

    async def _post(self, request: web.BaseRequest, what: Target) -> web.Response:
        body = await self._body(request, what.resource)
        if what.resource.virtual:
            return _json(self._review(what.resource, body), status=201)
        if what.name:
            raise method_not_allowed()
        if what.resource.namespaced and not what.namespace:
            raise bad_request("an empty namespace may not be set during creation")
        write = write_options(request.query)
        entry = self._objects.create(what.resource, what.namespace or "", body, write)
        return _entry(entry, write=write, status=201)

    def _review(self, resource: Resource, body: Any) -> Object:
        """Answer a review: whoever has the token may do everything here."""
        spec = body.get("spec") or {}
        if resource.kind == "TokenReview":
            good = hmac.compare_digest(str(spec.get("token", "")).encode(), self._token.encode())
            status: Object = {"authenticated": True, "user": USER} if good else {"user": {}, "error": "invalid token"}
        elif resource.kind == "SelfSubjectReview":
            status = {"userInfo": USER}
        else:
            status = {"allowed": True, "reason": "the embedded API knows one user, who may do everything"}
        head = {"kind": resource.kind, "apiVersion": resource.api_version}
        return head | {"metadata": {"creationTimestamp": None}, "spec": spec, "status": status}

    async def _put(self, request: web.BaseRequest, what: Target) -> web.Response:
        if not what.name or what.subresource == "log":
            raise method_not_allowed()
        write = write_options(request.query)
        body = await self._body(request, what.resource)
        subresource = "status" if what.subresource else ""
        return _entry(
            self._objects.replace(what.resource, what.place, body, subresource=subresource, write=write), write=write
        )

    async def _patch(self, request: web.BaseRequest, what: Target) -> web.Response:
        if not what.name or what.subresource == "log":
            raise method_not_allowed()
        media_type = patch_type(what.resource, request.content_type)
        write = write_options(request.query)
        entry, created = self._objects.patch(
            what.resource,
            what.place,
            await self._body(request, what.resource),
            media_type=media_type,
            subresource="status" if what.subresource else "",
            write=write,
        )
        return _entry(entry, write=write, status=201 if created else 200)

    async def _delete(self, request: web.BaseRequest, what: Target) -> web.Response:
        content = await request.read()
        body = parse_body(content, request.content_type, kind="DeleteOptions") if content.strip() else None
        how = deletion(request.query, body)
        headers = {}
        if what.resource.key == ("batch", "jobs") and how.propagation is None:
            headers["Warning"] = _warning(
                "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
                "them or set propagationPolicy=Orphan to suppress this warning"
            )
        if what.name:
            return _json(self._objects.delete(what.resource, what.place, how), headers=headers)
        if what.resource is NAMESPACES:
            raise method_not_allowed()
        page = self._list(what, {k: v for k, v in request.query.items() if k != "limit"})
        for entry in page.entries:
            meta = entry.obj["metadata"]
            self._objects.delete(what.resource, (meta.get("namespace", ""), meta["name"]), how)
        return web.Response(body=envelope(what.resource, page), content_type="application/json", headers=headers)

    async def _body(self, request: web.BaseRequest, resource: Resource) -> Any:
        return parse_body(await request.read(), request.content_type, kind=resource.kind)


def _json(
    body: Object, *, status: int = 200, content_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> web.Response:
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return web.Response(body=content, status=status, headers={**(headers or {}), "Content-Type": content_type})


def _entry(entry: Entry, *, write: Write | None = None, status: int = 200) -> web.Response:
    response = web.Response(body=entry.raw, status=status, content_type="application/json")
    for text in write.warnings if write else ():
        response.headers.add("Warning", _warning(text))
    return response


def _warning(text: str) -> str:
    return f"299 - {json.dumps(text)}"
