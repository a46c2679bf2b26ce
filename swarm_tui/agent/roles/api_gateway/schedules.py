"""The layout's schedules over HTTP: listed with their next times, paused, resumed and fired."""

import asyncio
import time
from typing import get_args

import msgspec
from aiohttp import web

from swarm_tui.agent.roles.api_gateway.asks import PersonsVoice
from swarm_tui.agent.roles.api_gateway.facts import DoorFacts
from swarm_tui.agent.roles.api_gateway.json_http import answer, require_json
from swarm_tui.protocol.bodies import JsonObject
from swarm_tui.protocol.rows import ScheduleRow, schedule_rows
from swarm_tui.protocol.run_bodies import ScheduleAct
from swarm_tui.protocol.topics import Kind

#: Seconds within which an act on a schedule is carried out, and between two looks whether it is.
PATIENCE, LOOK_EVERY = 5.0, 0.2
ACTS = get_args(ScheduleAct.__annotations__["act"])


class ScheduleRoutes:
    """The routes of schedules."""

    def __init__(self, facts: DoorFacts, voice: PersonsVoice) -> None:
        self._facts, self._voice = facts, voice

    def add_to(self, app: web.Application) -> None:
        """Add them to the application."""
        app.router.add_get("/schedules", self._list)
        app.router.add_post(f"/schedules/{{name}}/{{act:{'|'.join(ACTS)}}}", self._post)

    async def _list(self, request: web.Request) -> web.Response:
        rows = await asyncio.to_thread(self._rows)
        if rows is None:
            return answer({"error": "no dispatcher answers"}, 503)
        return answer([msgspec.to_builtins(row) for row in rows], 200)

    async def _post(self, request: web.Request) -> web.Response:
        require_json(request)
        status, told = await asyncio.to_thread(self._act, request.match_info["name"], request.match_info["act"])
        return answer(told, status)

    def _rows(self) -> list[ScheduleRow] | None:
        """The dispatcher's rows; None when none answers. Blocks up to two seconds."""
        reply = self._facts.ask("schedules", {}, 2.0)
        return None if reply is None else schedule_rows(reply.rows)

    def _act(self, name: str, act: str) -> tuple[int, JsonObject]:
        """Ask for it for a person, and wait for what comes of it. Returns a status and what to tell."""
        rows = self._rows()
        if rows is None:
            return 503, {"error": "no dispatcher answers"}
        before = next((row for row in rows if row.name == name), None)
        if before is None:
            return 404, {"error": "the layout has no such schedule"}
        after, look_at = before, 0.0

        def done() -> bool:
            nonlocal after, look_at
            if time.monotonic() < look_at:
                return False
            after = next((row for row in self._rows() or () if row.name == name), after)
            look_at = time.monotonic() + LOOK_EVERY
            return after.fired > before.fired if act == "fire" else after.paused == (act == "pause")

        try:
            why = self._voice.act(
                Kind.SCHEDULE_ACT, msgspec.convert({"name": name, "act": act}, ScheduleAct), done, PATIENCE
            )
        except Exception as error:  # noqa: BLE001 - whatever the broker or the keys are like, somebody waits
            return 503, {"error": f"no schedule can be acted on from here: {error}"}
        if why is None:
            return 504, {"error": "nothing came of it in time: GET /schedules shows how it is"}
        whole: JsonObject = msgspec.to_builtins(after)
        return (409, {"error": why}) if why else (200, whole)
