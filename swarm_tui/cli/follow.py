"""A command's view of a swarm over the bus: an operator that feeds a fleet, and conditions to wait for."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from swarm_tui.bus.port import Link
from swarm_tui.cli.common import Target, connect
from swarm_tui.client.operator import Operator
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.views import keeps_record
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.rows import (
    MailRow,
    RunRow,
    ScheduleRow,
    TaskRow,
    mail_rows,
    run_rows,
    schedule_rows,
    task_rows,
)

#: Seconds of silence after which all who were asked have answered.
_QUIET = 0.4


class Follower:
    """Feeds `fleet` with what `operator` hears; read the fleet under `lock`."""

    def __init__(self, found: Target, timeout: float, *, patience: float = 0.0) -> None:
        self.fleet = Fleet(found.swarm)
        self.lock = threading.Condition()
        self.operator: Operator
        connect(found, timeout, before=self._listen, patience=patience)

    def _listen(self, operator: Operator) -> None:
        self.operator = operator
        operator.on_event(self._event)
        operator.on_link(self._link)

    def _event(self, event: Event | Rejected) -> None:
        with self.lock:
            self.fleet.apply(event, time.time())
            self.lock.notify_all()

    def _link(self, link: Link) -> None:
        with self.lock:
            self.fleet.link(link.up, link.reason, time.time())
            self.lock.notify_all()

    def settle(self, timeout: float = 1.0) -> bool:
        """Wait until what the broker retains has come: our own word comes back after it.

        Where the broker retains nothing for us, those who are there are asked, and waited for until they are silent.
        """
        self.operator.look_round()
        settled = self.wait_for(lambda: self.operator.looked, timeout)
        if settled and not self.operator.kept:
            end = time.monotonic() + timeout
            self.wait_for(lambda: bool(self.fleet.hosts or self.fleet.dispatcher), timeout)
            while time.monotonic() < end and not self._falls_silent(self.operator.received):
                pass
        return settled

    def _falls_silent(self, before: int) -> bool:
        return not self.wait_for(lambda: self.operator.received != before, _QUIET)

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `condition` holds, asked under the lock after each message."""
        with self.lock:
            return self.lock.wait_for(condition, timeout)

    def load_tasks(self, query: str, args: dict[str, object], timeout: float = 3.0) -> list[TaskRow] | None:
        """Ask the dispatcher for tasks and merge them; None when nobody answered."""
        reply = self.operator.query(query, args, timeout)
        if reply is None:
            return None
        rows = task_rows(reply.rows)
        with self.lock:
            self.fleet.load(rows, time.time())
        return rows

    def schedules(self, timeout: float = 3.0) -> list[ScheduleRow] | None:
        """Ask the dispatcher for the layout's schedules; None when nobody answered."""
        reply = self.operator.query("schedules", {}, timeout)
        return None if reply is None else schedule_rows(reply.rows)

    def load_mails(self, args: dict[str, object], timeout: float = 3.0) -> list[MailRow] | None:
        """Ask the dispatcher for mail and take it in; None when nobody answered."""
        reply = self.operator.query("messages", args, timeout)
        if reply is None:
            return None
        rows = mail_rows(reply.rows)
        with self.lock:
            self.fleet.load_mails(rows)
        return rows

    def load_runs(self, query: str, args: dict[str, object], timeout: float = 3.0) -> list[RunRow] | None:
        """Ask the dispatcher for runs and take them in; None when nobody answered."""
        reply = self.operator.query(query, args, timeout)
        if reply is None:
            return None
        rows = run_rows(reply.rows)
        with self.lock:
            self.fleet.load_runs(rows)
        return rows


def has_record(follower: Follower) -> bool:
    """Return whether somebody is there who keeps the record and answers for the past."""
    with follower.lock:
        return keeps_record(follower.fleet.agents.values())


@contextmanager
def follow(found: Target, timeout: float = 5.0, *, patience: float = 0.0) -> Iterator[Follower]:
    """A connected Follower, closed at the end; see `cli.common.connect`. Raises Failure (exit 3)."""
    follower = Follower(found, timeout, patience=patience)
    try:
        yield follower
    finally:
        follower.operator.close()
