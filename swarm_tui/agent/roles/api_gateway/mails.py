"""Mail over HTTP: listed, shown, and written for a person, with the token alone."""

import asyncio
import re
import time
from typing import Any

import msgspec
from aiohttp import web

from swarm_tui.agent.roles.api_gateway.asks import PersonsVoice
from swarm_tui.agent.roles.api_gateway.facts import DoorFacts
from swarm_tui.agent.roles.api_gateway.json_http import answer, read_as, read_body
from swarm_tui.client.ids import new_message_id
from swarm_tui.domain.fleet.mails import REJECTED, SENT, MailView
from swarm_tui.protocol.bodies import JsonObject
from swarm_tui.protocol.mail_bodies import MessageNew
from swarm_tui.protocol.names import is_task_id
from swarm_tui.protocol.rows import mail_rows

#: Seconds for which a message is sent until it is accepted, and between two times.
ACCEPT_WITHIN, AGAIN = 10.0, 1.0
_MOST_BODY = 64 * 1024
_IDS = ("message_id", "reply_to", "task_id")


class NewMail(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /messages; `to` may be empty in an answer. `expires_at` is seconds since the epoch."""

    text: str
    to: str = ""
    reply_to: str | None = None
    expects_answer: bool = False
    task_id: str | None = None
    expires_at: float | None = None
    message_id: str | None = None


class MailRoutes:
    """The routes of mail."""

    def __init__(self, facts: DoorFacts, voice: PersonsVoice) -> None:
        self._facts, self._voice = facts, voice

    def add_to(self, app: web.Application) -> None:
        """Add them to the application."""
        app.router.add_get("/messages", self._list)
        app.router.add_get("/messages/{message_id}", self._one)
        app.router.add_post("/messages", self._post)

    async def _list(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "100")
        if not re.fullmatch("[0-9]{1,5}", limit) or not 1 <= int(limit) <= 1000:
            return answer({"error": "limit: 1 to 1000"}, 422)
        args: JsonObject = {"limit": int(limit)}
        for name, field in (("agent", "agent_id"), ("task", "task_id")):
            if request.query.get(name):
                args[field] = request.query[name]
        found = await asyncio.to_thread(self._ask, args)
        return answer({"error": "no dispatcher answers"}, 503) if found is None else answer(found, 200)

    async def _one(self, request: web.Request) -> web.Response:
        found = await asyncio.to_thread(self._ask, {"message_id": request.match_info["message_id"]})
        if found is None:
            return answer({"error": "no dispatcher answers"}, 503)
        return answer(found[0], 200) if found else answer({"error": "no such message"}, 404)

    def _ask(self, args: JsonObject) -> list[Any] | None:
        """The dispatcher's rows; blocks up to two seconds."""
        reply = self._facts.ask("messages", args, 2.0)
        return None if reply is None else [msgspec.to_builtins(row) for row in mail_rows(reply.rows)]

    async def _post(self, request: web.Request) -> web.Response:
        new = read_as(await read_body(request), NewMail, "a message", _MOST_BODY)
        for name in _IDS:
            value = getattr(new, name)
            if value is not None and not is_task_id(value):
                return answer({"error": f"{name}: 1 to 128 of A-Z a-z 0-9 _ . : -"}, 422)
        status, told = await asyncio.to_thread(self._send, new)
        return answer(told, status)

    def _send(self, new: NewMail) -> tuple[int, JsonObject]:
        """Send it until the dispatcher answers; blocks up to fifteen seconds. Returns a status and what to tell."""
        said = msgspec.structs.asdict(new) | {"message_id": new.message_id or new_message_id()}
        message = MessageNew(**said)
        try:
            again = self._voice.operator().send(message)
        except Exception as error:  # noqa: BLE001 - whatever the broker or the keys are like, somebody waits
            return 503, {"error": f"nothing can be written from here: {error}"}
        end, repeat = time.monotonic() + ACCEPT_WITHIN, time.monotonic() + AGAIN
        while time.monotonic() < end:
            view: MailView | None = self._facts.read(lambda fleet, now: fleet.mails.get(message.message_id))
            if view is not None and view.stage == REJECTED:
                unknown = "no agent and no role" in view.reason
                return 404 if unknown else 409 if "is taken by" in view.reason else 422, {"error": view.reason}
            if view is not None and view.stage != SENT:
                return 202, {"message_id": view.message_id, "state": view.state, "receivers": sorted(view.receipts)}
            if time.monotonic() >= repeat:
                again()
                repeat += AGAIN
            time.sleep(0.02)
        return 503, {"error": "no dispatcher took it in time; repeat it with the same message_id"}
