"""Records of conversations that are under way: what is known of one's usage should its agent be killed."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from swarm_tui.agent.conversation.session_log import SessionLogReader
from swarm_tui.agent.conversation.spec import SessionLog
from swarm_tui.agent.conversation.usage_meter import KeptMeter
from swarm_tui.agent.handlers.base import Context
from swarm_tui.agent.process_groups import start_time
from swarm_tui.agent.running_attempt import attempt_token
from swarm_tui.agent.usage_desk import Owner, record_of
from swarm_tui.domain.usage import Usage


class OpenConversation(Owner, frozen=True, kw_only=True):
    """A conversation whose session is open; `calls` of its model were heard of, `folders` say where its CLI writes."""

    session: str
    log: SessionLog
    folders: dict[str, str]
    meter: KeptMeter
    calls: int = 0

    def usage(self) -> Usage | None:
        """Return what it took as its session's log says now; None where no log can be read."""
        now = SessionLogReader(self.log, self.folders, self.session).read()
        return None if now is None else self.meter.usage(self.log, now, self.calls)


class Keeper(Struct):
    """Keeps the record of one conversation."""

    path: Path
    known: OpenConversation

    def heard(self, calls: int) -> None:
        """Note how many calls of the model were heard of."""
        if calls != self.known.calls:
            self.known = msgspec.structs.replace(self.known, calls=calls)
            self.write()

    def write(self) -> None:
        """Write it, whole or not at all. A disk that is full costs what a killed one took, not the conversation."""
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self.path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(self.known))
            new.replace(self.path)


def keep(context: Context, log: SessionLog, environment: Mapping[str, str], session: str, meter: KeptMeter) -> Keeper:
    """Write the record of a conversation that begins, before its model is asked anything."""
    attempt, _, epoch = context.fence.partition(".")
    number, era = int(attempt), int(epoch or 0) or None
    known = OpenConversation(
        task_id=context.task_id,
        worker=context.agent_id,
        attempt=number,
        epoch=era,
        pid=os.getpid(),
        started=start_time(os.getpid()),
        session=session,
        log=log,
        folders={name: environment[name] for name in (log.home, "HOME") if name in environment},
        meter=meter,
    )
    made = Keeper(record_of(context.state_dir, attempt_token(context.task_id, number, era)), known)
    made.write()
    return made


def read(path: Path) -> OpenConversation:
    """Return the record. Raises OSError, msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=OpenConversation)
