"""The record that outlives a worker: what it was offered, what it started, what it still has to report."""

import contextlib
import os
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from swarm_tui.domain.worker.actions import Answer, HeldLease, Save
from swarm_tui.protocol.bodies import Complete, Failed, JsonObject
from swarm_tui.protocol.topics import Kind

#: Bytes beyond which the file is written anew with only what still counts.
_COMPACT_AT = 1_000_000
_encode = msgspec.json.Encoder().encode


class JournaledAttempt(Struct, kw_only=True, omit_defaults=True):
    """A line. `group` entries name a process group by its leader, and `started` tells it from a later one."""

    what: Literal["offer", "answer", "done", "group", "gone"]
    task_id: str = ""
    attempt: int = 0
    epoch: int | None = None
    kind: str = ""
    message_id: str = ""
    body: JsonObject = {}
    pid: int = 0
    started: str = ""


class Left(Struct, kw_only=True):
    """Remains of a predecessor: results it owed, attempts it had not ended, process groups it had started."""

    owed: list[Answer] = []
    unfinished: list[JournaledAttempt] = []
    groups: list[JournaledAttempt] = []


class WorkerJournal:
    """An append-only file of JSON lines, written without fsync: it survives the death of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._live: dict[tuple[str, str, int], JournaledAttempt] = {}
        self._size = 0
        self._handle: int | None = None
        self.failure: str | None = None
        """Why the last write failed: the agent works on, and says so."""

    def open(self) -> Left:
        """Read what is there and begin anew with what still counts. Raises OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for entry in read_entries(self._path):
            self._apply(entry)
        left = Left(
            owed=[answer for e in self._live.values() if e.what == "answer" and (answer := _answer(e)) is not None],
            unfinished=[e for e in self._live.values() if e.what == "offer"],
            groups=[e for e in self._live.values() if e.what == "group"],
        )
        self._compact()
        return left

    def forget(self, entries: list[JournaledAttempt]) -> None:
        """Forget entries that are dealt with."""
        for entry in entries:
            self._live.pop(_key(entry), None)
        self._compact()

    def save(self, save: Save) -> None:
        """Write what the worker decided to remember."""
        entry = JournaledAttempt(what=save.what, task_id=save.task_id, attempt=save.attempt, epoch=save.epoch)
        if save.answer is not None:
            body: JsonObject = msgspec.to_builtins(save.answer.body)
            entry = JournaledAttempt(
                what="answer",
                task_id=save.task_id,
                attempt=save.attempt,
                epoch=save.epoch,
                kind=save.answer.kind.value,
                message_id=save.answer.message_id,
                body=body,
            )
        self._append(entry)

    def group(self, lease: HeldLease, pid: int, started: str) -> None:
        """Note a process group that was started for the task."""
        self._append(
            JournaledAttempt(what="group", task_id=lease.task_id, attempt=lease.attempt, pid=pid, started=started)
        )

    def gone(self, pid: int) -> None:
        """Note that the process group has ended."""
        self._append(JournaledAttempt(what="gone", pid=pid))

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _apply(self, entry: JournaledAttempt) -> None:
        if entry.what == "gone":
            self._live.pop(("group", "", entry.pid), None)
            return
        if entry.what in ("answer", "done"):
            self._live.pop(("offer", entry.task_id, entry.attempt), None)
        if entry.what == "done":
            self._live.pop(("answer", entry.task_id, entry.attempt), None)
            return
        self._live[_key(entry)] = entry

    def _append(self, entry: JournaledAttempt) -> None:
        self._apply(entry)
        line = _encode(entry) + b"\n"
        self._size += len(line)
        if self._handle is None:
            return
        try:
            if self.failure is not None or self._size > _COMPACT_AT:
                # After a failure the file may end in half a line and lack what failed: what counts is written anew.
                self._compact()
            else:
                _write_all(self._handle, line)
            self.failure = None
        except OSError as error:
            self.failure = error.strerror or str(error)

    def _compact(self) -> None:
        """Write what counts to a new file and put it in place of the old one."""
        data = b"".join(_encode(entry) + b"\n" for entry in self._live.values())
        fresh = self._path.with_suffix(".new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, handle)
            _write_all(handle, data)
            os.replace(fresh, self._path)
            undo.pop_all()
        self.close()
        self._handle = handle
        # What counts must itself grow before it is worth writing again.
        self._size = min(len(data), _COMPACT_AT // 2)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _key(entry: JournaledAttempt) -> tuple[str, str, int]:
    if entry.what == "group":
        return "group", "", entry.pid
    return entry.what, entry.task_id, entry.attempt


def read_entries(path: Path) -> list[JournaledAttempt]:
    """Return the entries of the file; a last line cut short by a crash is left out."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    entries = []
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            entries.append(msgspec.json.decode(line, type=JournaledAttempt))
    return entries


def _answer(entry: JournaledAttempt) -> Answer | None:
    shape: type[Complete] | type[Failed] = Complete if entry.kind == Kind.TASK_COMPLETE.value else Failed
    try:
        body = msgspec.convert(entry.body, shape)
        return Answer(kind=Kind(entry.kind), body=body, message_id=entry.message_id)
    except (msgspec.ValidationError, ValueError):
        return None
