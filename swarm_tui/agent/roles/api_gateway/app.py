"""The door itself: routes and answers. Imported when the first visitor comes, not before."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from swarm_tui.agent.roles.api_gateway.asks import AskRoutes, NewAnswer, PersonsVoice
from swarm_tui.agent.roles.api_gateway.facts import DoorFacts
from swarm_tui.agent.roles.api_gateway.guard import Visit, refuse
from swarm_tui.agent.roles.api_gateway.json_http import MAX_BODY, UnfitError, answer, read_body
from swarm_tui.agent.roles.api_gateway.mails import MailRoutes, NewMail
from swarm_tui.agent.roles.api_gateway.metrics import FleetMetrics
from swarm_tui.agent.roles.api_gateway.openapi import document
from swarm_tui.agent.roles.api_gateway.runs import NewRun, RunChange, RunRoutes
from swarm_tui.agent.roles.api_gateway.schedules import ScheduleRoutes
from swarm_tui.agent.roles.api_gateway.settings import DoorSettings
from swarm_tui.agent.roles.api_gateway.stream import FrameStream
from swarm_tui.agent.roles.api_gateway.task_request import Doers, NewTask, task_of
from swarm_tui.client.hosts_output import joined
from swarm_tui.client.publication import Publication
from swarm_tui.client.publication_policy import SETTLED, Stage
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.bodies import JsonObject
from swarm_tui.protocol.names import InvalidNameError, is_task_id

ACCEPT_TIMEOUT = 10.0
_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
_FOLDER = Path(__file__).parent / "assets"
_STYLE = (_FOLDER / "page.css").read_text("utf-8")
_SCRIPT = (_FOLDER / "page.js").read_text("utf-8")
#: What `/` shows: the swarm at a glance, live over the WebSocket; what comes from outside is never markup.
PAGE = (_FOLDER / "index.html").read_text("utf-8").replace("/*style*/", _STYLE).replace("/*script*/", _SCRIPT)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _hash(text: str) -> str:
    return "'sha256-" + b64encode(sha256(text.encode()).digest()).decode() + "'"


PAGE_POLICY = (
    f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Door:
    """The application over the facts of a swarm."""

    def __init__(
        self,
        facts: DoorFacts,
        stream: FrameStream,
        settings: DoorSettings,
        token: str,
        doers: Doers,
        voice: PersonsVoice,
    ) -> None:
        self._facts = facts
        self._voice = voice
        self._doers = doers
        self._stream = stream
        self._settings = settings
        self._token = token
        self._metrics = FleetMetrics(facts, stream)

    def app(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[self._guard])
        app.router.add_get("/", self._root)
        app.router.add_post("/tasks", self._post)
        app.router.add_get("/tasks", self._tasks)
        app.router.add_get("/tasks/{task_id}", self._task)
        app.router.add_get("/tasks/{task_id}/output", self._output)
        RunRoutes(self._facts, self._voice).add_to(app)
        ScheduleRoutes(self._facts, self._voice).add_to(app)
        AskRoutes(self._facts, self._voice).add_to(app)
        MailRoutes(self._facts, self._voice).add_to(app)
        app.router.add_get("/agents", self._agents)
        app.router.add_get("/status", self._status)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/metrics", self._scrape)
        app.router.add_get("/openapi.json", self._openapi)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        visit = Visit(
            path=request.path,
            peer=request.remote or "",
            host=request.headers.get("Host", ""),
            upgrade=_is_upgrade(request),
            answers=request.path.startswith(("/asks/", "/messages", "/runs/", "/schedules/"))
            and request.method not in ("GET", "HEAD"),
            origin=request.headers.get("Origin"),
            authorization=request.headers.get("Authorization"),
            query_token=request.query.get("token") if request.path == "/" and _is_upgrade(request) else None,
        )
        refusal = refuse(visit, self._settings, self._token)
        if refusal is not None:
            return _error(*refusal)
        try:
            response = await handler(request)
        except UnfitError as error:
            return _error(error.status, str(error))
        except web.HTTPException as error:
            return _error(error.status, error.text or error.reason)
        if not response.prepared:
            response.headers.update(_SAFE)
        return response

    async def _root(self, request: web.Request) -> web.StreamResponse:
        if _is_upgrade(request):
            return await self._stream.serve(request)
        return web.Response(text=PAGE, content_type="text/html", headers={"Content-Security-Policy": PAGE_POLICY})

    async def _post(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        task = task_of(body, request.headers.get("Idempotency-Key"), self._facts.operator, self._doers)
        try:
            publication = self._facts.operator.submit(task, accept_timeout=ACCEPT_TIMEOUT)
        except InvalidNameError as error:
            return _error(422, str(error))
        await _settled(publication)
        return _published(publication)

    async def _tasks(self, request: web.Request) -> web.Response:
        state, limit = request.query.get("state"), request.query.get("limit", "100")
        if state is not None and state not in [known.value for known in TaskState]:
            return _error(422, f"state: one of {', '.join(TaskState)}")
        if not re.fullmatch("[0-9]{1,5}", limit) or not 1 <= int(limit) <= 10_000:
            return _error(422, "limit: 1 to 10000")
        return answer(self._facts.tasks(state, request.query.get("type"), int(limit)))

    async def _task(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task_id"]
        if not is_task_id(task_id):
            return _error(422, "that is not a task id")
        found = await asyncio.to_thread(self._facts.task, task_id)
        return _error(404, "no such task") if found is None else answer(found)

    async def _output(self, request: web.Request) -> web.Response:
        """Answer with what a task's programs printed: JSON by positions, or plain text for who accepts that."""
        task_id, args = request.match_info["task_id"], dict[str, int]()
        if not is_task_id(task_id):
            return _error(422, "that is not a task id")
        for name in ("attempt", "since", "lines"):
            value = request.query.get(name)
            if value is None:
                continue
            if not re.fullmatch("[0-9]{1,15}", value):
                return _error(422, f"{name}: a number")
            args[name] = int(value)
        if "since" in args and "lines" in args:
            return _error(422, "since and lines: one of them")
        pages = await asyncio.to_thread(self._facts.output, task_id, args)
        if not pages:
            which = f" of its attempt {args['attempt']}" if "attempt" in args else ""
            return _error(404, f"no output{which} is kept: it started no program, or it is not known")
        if "text/plain" in request.headers.get("Accept", ""):
            begin = pages[0].start if "lines" in args else args.get("since", 0)
            return web.Response(text=joined(pages, begin), content_type="text/plain")
        last = pages[-1]
        parts = [{"start": page.start, "next": page.next, "text": page.text} for page in pages]
        whole = {"attempt": last.attempt, "next": last.next, "size": last.size, "ended": last.ended}
        return answer({"task_id": task_id, **whole, "parts": parts})

    async def _agents(self, request: web.Request) -> web.Response:
        return answer(self._facts.agents())

    async def _status(self, request: web.Request) -> web.Response:
        await asyncio.to_thread(self._facts.ask_usage)
        return answer(self._facts.status())

    async def _health(self, request: web.Request) -> web.Response:
        def look(fleet: Any, now: float) -> JsonObject:
            leader = fleet.dispatcher
            return {
                "status": "ok" if fleet.broker_up else "no broker",
                "broker": fleet.broker_up,
                "dispatcher": leader is not None and leader.online,
                "halted": fleet.halted is not None,
            }

        found = self._facts.read(look)
        return answer(found, status=200 if found["broker"] else 503)

    async def _scrape(self, request: web.Request) -> web.Response:
        await asyncio.to_thread(self._facts.ask_usage)
        return web.Response(body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _openapi(self, request: web.Request) -> web.Response:
        return answer(document(*map(msgspec.json.schema, (NewTask, NewRun, NewAnswer, NewMail, RunChange))))


async def _settled(publication: Publication) -> None:
    """Wait until it is accepted, refused or given up."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def changed(seen: Publication) -> None:
        if seen.accepted or seen.stage in SETTLED:
            loop.call_soon_threadsafe(done.set)

    publication.on_change(changed)
    await done.wait()


def _published(publication: Publication) -> web.Response:
    task_id, stage, reason = publication.original or publication.task_id, publication.stage, publication.reason
    if publication.accepted:
        told = {"task_id": task_id, "state": stage.value}
        return answer(told, status=202, headers={"Location": f"/tasks/{task_id}"})
    if stage is Stage.REJECTED:
        return _error(409 if "is taken by" in reason else 422, reason, task_id=task_id)
    return _error(503, f"{reason}; repeat it with the same Idempotency-Key or task_id", task_id=task_id)


def _is_upgrade(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def _error(status: int, reason: str, **more: str) -> web.Response:
    headers = dict(_SAFE)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return answer({"error": reason, **more}, status=status, headers=headers)
