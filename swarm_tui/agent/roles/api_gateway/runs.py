"""Runs of workflows over HTTP: begun, listed, shown, cancelled and done again."""

import asyncio
import re
import time
from itertools import islice
from typing import Any

import msgspec
from aiohttp import web

from swarm_tui.agent.roles.api_gateway.asks import PersonsVoice
from swarm_tui.agent.roles.api_gateway.facts import DoorFacts
from swarm_tui.agent.roles.api_gateway.json_http import UnfitError, answer, read_as, read_body
from swarm_tui.client.ids import new_id
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.runs import ASKED, REJECTED, RunView
from swarm_tui.domain.states import CANCEL_WITHIN
from swarm_tui.domain.workflows.model import RUNNING
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import JsonObject
from swarm_tui.protocol.names import is_run_id
from swarm_tui.protocol.raw import MAX_DEPTH, MAX_VALUES, too_much
from swarm_tui.protocol.rows import run_rows
from swarm_tui.protocol.run_bodies import RunAct, RunNew, new_run
from swarm_tui.protocol.topics import Kind

#: Seconds for which a run is asked for, and between two times.
ACCEPT_WITHIN, AGAIN = 10.0, 1.0
#: Seconds within which an act on a run is carried out, beside those that a task has to stop.
PATIENCE = 5.0
_MOST_CHANGE = 8 * 1024
#: Steps of each run that the list has.
MOST_STEPS = 100
#: Levels of JSON around a run in its message.
_AROUND = 2


class NewRun(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /runs: a workflow, whole as its file has it, and its inputs."""

    workflow: dict[str, Any]
    inputs: dict[str, Any] = {}
    run_id: str | None = None


class RunChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /runs/ID/cancel and /runs/ID/retry; `step` is where a retry begins, also with what succeeded."""

    reason: str = ""
    step: str | None = None


def run_of(body: bytes) -> RunNew:
    """Return the run that a body means. Raises UnfitError."""
    if why := too_much(body, size=len(body), depth=MAX_DEPTH - _AROUND, values=MAX_VALUES):
        raise UnfitError(400, f"the run {why}")
    new = read_as(body, NewRun, "a run")
    run_id = new.run_id or f"run-{new_id()[:8]}"
    if not is_run_id(run_id):
        raise UnfitError(422, "run_id: 1 to 64 of A-Z a-z 0-9 _ -")
    return new_run(run_id, new.workflow, new.inputs)


def begin(facts: DoorFacts, run: RunNew) -> JsonObject:
    """Ask for the run until the dispatcher answers; blocks up to ten seconds. Raises UnfitError."""
    operator = facts.operator
    message = operator.writer.message(Kind.RUN_NEW, run)
    if why := codec.refusal(operator.swarm, message.topic, message.payload, time.time()):
        raise UnfitError(413 if "bytes" in why else 422, f"the run cannot be said: {why}")
    again = operator.run(run)
    end, repeat = time.monotonic() + ACCEPT_WITHIN, time.monotonic() + AGAIN
    while time.monotonic() < end:
        state, reason = facts.read(lambda fleet, now: _state(fleet, run.run_id))
        if state == REJECTED:
            raise UnfitError(409 if "is taken by" in reason else 422, reason)
        if state != ASKED:
            return {"run_id": run.run_id, "state": state}
        if time.monotonic() >= repeat:
            again()
            repeat += AGAIN
        time.sleep(0.02)
    raise UnfitError(503, "no dispatcher took it in time; repeat it with the same run_id")


def _state(fleet: Fleet, run_id: str) -> tuple[str, str]:
    view = fleet.runs.get(run_id)
    return (ASKED, "") if view is None else (view.state, view.reason)


def row(view: RunView, most: int | None = None) -> JsonObject:
    """Return a run as it was heard of, with at most so many of its steps; `count` is the number of all."""
    steps = [
        {"step": step.name, "type": step.type, "state": step.state, "needs": list(step.needs)}
        for step in islice(view.steps.values(), most)
    ]
    names = ("run_id", "workflow", "state", "reason", "by", "created_at", "updated_at", "ended_at")
    return {**{name: getattr(view, name) for name in names}, "count": len(view.steps), "steps": steps}


class RunRoutes:
    """The routes of runs."""

    def __init__(self, facts: DoorFacts, voice: PersonsVoice) -> None:
        self._facts, self._voice = facts, voice

    def add_to(self, app: web.Application) -> None:
        """Add them to the application."""
        app.router.add_post("/runs", self._post)
        app.router.add_get("/runs", self._list)
        app.router.add_get("/runs/{run_id}", self._one)
        app.router.add_post("/runs/{run_id}/cancel", self._cancel)
        app.router.add_post("/runs/{run_id}/retry", self._retry)

    async def _post(self, request: web.Request) -> web.Response:
        return answer(await asyncio.to_thread(begin, self._facts, run_of(await read_body(request))), 202)

    async def _list(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "100")
        if not re.fullmatch("[0-9]{1,5}", limit) or not 1 <= int(limit) <= 1000:
            return answer({"error": "limit: 1 to 1000"}, 422)
        state = request.query.get("state")

        def look(fleet: Fleet, now: float) -> list[JsonObject]:
            runs = [run for run in fleet.runs.values() if state in (None, run.state)]
            runs.sort(key=lambda run: run.created_at, reverse=True)
            return [row(run, MOST_STEPS) for run in runs[: int(limit)]]

        return answer(self._facts.read(look), 200)

    async def _one(self, request: web.Request) -> web.Response:
        run_id = request.match_info["run_id"]
        if not is_run_id(run_id):
            return answer({"error": "that is not a run id"}, 422)
        found = await asyncio.to_thread(self._ask, run_id)
        return answer({"error": "no such run"}, 404) if found is None else answer(found, 200)

    async def _cancel(self, request: web.Request) -> web.Response:
        return await self._change(request, Kind.RUN_CANCEL)

    async def _retry(self, request: web.Request) -> web.Response:
        return await self._change(request, Kind.RUN_RETRY)

    async def _change(self, request: web.Request, kind: Kind) -> web.Response:
        run_id = request.match_info["run_id"]
        if not is_run_id(run_id):
            return answer({"error": "that is not a run id"}, 422)
        change = read_as(await read_body(request) or b"{}", RunChange, "an act on a run", _MOST_CHANGE)
        status, told = await asyncio.to_thread(self._act, kind, run_id, change)
        return answer(told, status)

    def _act(self, kind: Kind, run_id: str, change: RunChange) -> tuple[int, JsonObject]:
        """Ask for it for a person, and wait for what comes of it. Returns a status and what to tell."""
        known = self._ask(run_id)
        if known is None:
            return 404, {"error": "no such run"}
        if kind is Kind.RUN_CANCEL and known["state"] not in (ASKED, RUNNING):
            return 409, {"error": f"it is {known['state']} already"}
        before = self._seen(run_id)[1]

        def done() -> bool:
            state, starts = self._seen(run_id)
            return state not in (ASKED, RUNNING) if kind is Kind.RUN_CANCEL else starts > before

        act = RunAct(run_id=run_id, reason=change.reason[:500], step=change.step)
        try:
            why = self._voice.act(kind, act, done, CANCEL_WITHIN + PATIENCE if kind is Kind.RUN_CANCEL else PATIENCE)
        except Exception as error:  # noqa: BLE001 - whatever the broker or the keys are like, somebody waits
            return 503, {"error": f"no run can be acted on from here: {error}"}
        if why is None:
            return 504, {"error": f"nothing came of it in time: GET /runs/{run_id} shows how it is"}
        if why:
            return 409, {"error": why}
        return 200, {"run_id": run_id, "state": self._seen(run_id)[0]}

    def _seen(self, run_id: str) -> tuple[str, int]:
        """The run's state as it was heard of, and how often it began."""

        def look(fleet: Fleet, now: float) -> tuple[str, int]:
            view = fleet.runs.get(run_id)
            return (ASKED, 0) if view is None else (view.state, view.starts)

        found: tuple[str, int] = self._facts.read(look)
        return found

    def _ask(self, run_id: str) -> JsonObject | None:
        """The dispatcher's record of a run, else what was heard of it; blocks up to two seconds."""
        reply = self._facts.ask("run", {"run_id": run_id}, 2.0)
        for known in run_rows(reply.rows if reply is not None else ()):
            whole: JsonObject = msgspec.to_builtins(known)
            return whole
        view: JsonObject | None = self._facts.read(
            lambda fleet, now: row(fleet.runs[run_id]) if run_id in fleet.runs else None
        )
        return view
