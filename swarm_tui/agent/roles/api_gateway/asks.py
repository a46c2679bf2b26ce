"""Asks of AI agents over HTTP: listed, shown, answered. An answer wants the token, wherever it comes from."""

import asyncio
import threading
import time
from collections.abc import Callable

import msgspec
from aiohttp import web

from swarm_tui.agent.roles.api_gateway.facts import DoorFacts
from swarm_tui.agent.roles.api_gateway.json_http import answer, read_as, read_body
from swarm_tui.client.operator import Operator
from swarm_tui.domain.fleet import Fleet
from swarm_tui.protocol.ask_bodies import AskAnswer, AskRecorded, Outcome
from swarm_tui.protocol.bodies import Alert, Body, JsonObject
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.rows import AskRow
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

#: Seconds within which an answer is written down, and those for the connection that speaks for people.
_PATIENCE, _LINK_WAIT = 5.0, 3.0
_MOST_BODY = 8 * 1024


class NewAnswer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /asks/ID: the answer, a reason that the agent reads, and who gives it."""

    outcome: Outcome
    reason: str = ""
    by: str = ""


class PersonsVoice:
    """Speaks for people, by a connection of its own with an operator's identity: an agent's may not.

    Thread-safe. `make` gives the operator; it is made once, for the first who speaks.
    """

    def __init__(self, make: Callable[[], Operator]) -> None:
        self._make = make
        self._operator: Operator | None = None
        self._making = threading.Lock()
        self._heard = threading.Condition()
        self._recorded: dict[str, AskRecorded] = {}
        self._refused: dict[str, str] = {}
        self._one = threading.Lock()
        """One answer at a time: of two who press at once the second is told of the first."""

    def answer(self, ask_id: str, given: NewAnswer) -> tuple[int, JsonObject]:
        """Say it, and wait for what is written down; blocks up to eight seconds. Returns a status and what to tell."""
        with self._one:
            if (known := self._recorded.get(ask_id)) is not None:
                return _told(known, ours=False)
            try:
                operator = self.operator()
            except Exception as error:  # noqa: BLE001 - whatever the broker or the keys are like, somebody waits
                return 503, {"error": f"no answer can be given from here: {error}"}
            body = AskAnswer(outcome=given.outcome, reason=given.reason[:500], by=given.by[:100])
            said = f"act:{operator.act(Kind.ASK_ANSWER, body, ask_id)}"
            with self._heard:
                self._heard.wait_for(lambda: ask_id in self._recorded or said in self._refused, _PATIENCE)
                kept, why = self._recorded.get(ask_id), self._refused.pop(said, "")
            if kept is None:
                return (403, {"error": why}) if why else (504, {"error": "nobody wrote the answer down in time"})
            return _told(kept, ours=not why and kept.outcome == given.outcome and _speaks_for(kept.by, given))

    def act(self, kind: Kind, body: Body, done: Callable[[], bool], patience: float) -> str | None:
        """Say an act for a person until it is `done`; blocks for `patience` seconds and those of the connection.

        Returns an empty text, why it was refused, or None when nothing came of it in time. Raises as `operator` does.
        """
        said = f"act:{self.operator().act(kind, body)}"
        end = time.monotonic() + patience
        while time.monotonic() < end:
            with self._heard:
                why = self._refused.pop(said, "")
            if why or done():
                return why
            time.sleep(0.02)
        return None

    def close(self) -> None:
        """Leave the bus."""
        if self._operator is not None:
            self._operator.close(1.0)

    def operator(self) -> Operator:
        """Return the connection. Raises ConnectionError, or what the keys and the broker raise."""
        with self._making:
            if (operator := self._operator) is None:
                operator = self._make()
                operator.on_event(self._hear)
                operator.start()
                self._operator = operator
        if not operator.wait_link(_LINK_WAIT).up:
            raise ConnectionError(operator.link.reason or "the broker does not answer")
        return operator

    def _hear(self, event: Event | Rejected) -> None:
        if not isinstance(event, Event):
            return
        with self._heard:
            if isinstance(event.body, AskRecorded):
                self._recorded[event.key] = event.body
                if len(self._recorded) > 1000:
                    del self._recorded[next(iter(self._recorded))]
            elif isinstance(event.body, Alert) and (event.body.name or "").startswith("act:"):
                self._refused[event.body.name or ""] = event.body.message
                if len(self._refused) > 1000:
                    del self._refused[next(iter(self._refused))]
            self._heard.notify_all()


def _speaks_for(by: str, given: NewAnswer) -> bool:
    """Return whether that is the record's name for who gave the answer: none beside ours where ours says it already."""
    ours, _, person = by.partition(" (")
    named = clean(given.by[:100], 100)
    return ours.startswith("operator:") and person == (f"{named})" if named and given.by[:100] not in ours else "")


def _told(kept: AskRecorded, *, ours: bool) -> tuple[int, JsonObject]:
    said: JsonObject = {"ask_id": kept.ask_id, "outcome": kept.outcome, "by": kept.by, "reason": kept.reason}
    if ours:
        return 200, said
    word = "denied" if kept.outcome == "deny" else "allowed"
    why = f": {kept.reason}" if kept.reason else ""
    return 409, {**said, "error": f"it was {word} already by {kept.by or 'nobody'}{why}"}


class AskRoutes:
    """The routes of asks."""

    def __init__(self, facts: DoorFacts, voice: PersonsVoice) -> None:
        self._facts, self._voice = facts, voice

    def add_to(self, app: web.Application) -> None:
        """Add them to the application."""
        app.router.add_get("/asks", self._list)
        app.router.add_get("/asks/{ask_id}", self._one)
        app.router.add_post("/asks/{ask_id}", self._post)

    async def _list(self, request: web.Request) -> web.Response:
        return answer([msgspec.to_builtins(row) for row in self._open()], 200)

    async def _one(self, request: web.Request) -> web.Response:
        ask_id = request.match_info["ask_id"]
        row = next((row for row in self._open() if row.ask_id == ask_id), None)
        return answer({"error": _GONE}, 404) if row is None else answer(msgspec.to_builtins(row), 200)

    async def _post(self, request: web.Request) -> web.Response:
        given = read_as(await read_body(request), NewAnswer, "an answer", _MOST_BODY)
        ask_id = request.match_info["ask_id"]
        waits, known = self._facts.read(lambda fleet, now: (ask_id in fleet.asks.open, fleet.asks.answered.get(ask_id)))
        if not waits:
            # Who answers at the same moment as another is told by whom it was answered.
            status, told = (404, {"error": _GONE}) if known is None else _told(known, ours=False)
        else:
            status, told = await asyncio.to_thread(self._voice.answer, ask_id, given)
        return answer(told, status)

    def _open(self) -> list[AskRow]:
        def look(fleet: Fleet, now: float) -> list[AskRow]:
            return sorted((row for row in fleet.asks.open.values() if row.expires_at > now), key=lambda row: row.since)

        rows: list[AskRow] = self._facts.read(look)
        return rows


_GONE = "nothing waits by that id: it was answered, or its time is over"
