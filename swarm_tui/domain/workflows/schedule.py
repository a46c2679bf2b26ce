"""Schedules: what is to be done at which times, and which of them is due. Times are seconds since the epoch."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from msgspec import Struct, field

from swarm_tui.domain.workflows.model import Workflow

#: Seconds after its time at which a firing still counts as on time: what looks once a second may stand still a while.
LATE = 60.0
#: Fired times that are remembered, so that a clock that is set back fires none of them again.
REMEMBERED = 200
_DAY = 86_400.0
_FIRING = re.compile(r"([A-Za-z0-9_-]+)(?:[-:][0-9]{8}T[0-9]{6}Z|@[0-9-]{10}T[0-9:.]+Z)")


class Schedule(Struct, frozen=True, kw_only=True):
    """A schedule, resolved: a task of `type`, or a run of `workflow` with `payload` as its inputs."""

    name: str
    cron: str
    timezone: str = "UTC"
    type: str | None = None
    workflow: Workflow | None = None
    payload: dict[str, Any] = {}
    overlap: Literal["skip", "queue", "replace"] = "skip"
    """Says what becomes of a firing while the one before is still open."""
    missed: Literal["one", "none"] = "one"
    """Says whether the last of the times at which nobody could fire is made up for."""


class ScheduleRecord(Struct, kw_only=True, omit_defaults=True):
    """A schedule's record in the journal."""

    mark: str = ""
    """Cron and timezone for which `next_at` holds."""
    next_at: float | None = None
    last_at: float | None = None
    open: str = ""
    """The task or run of the last firing."""
    waiting: float | None = None
    """A firing that waits for the one before to end."""
    paused: bool = False
    fired: int = 0
    skipped: int = 0
    reason: str = ""
    """Why the last firing came to nothing; empty when it did not."""
    times: list[float] = field(default_factory=list)


def problem(cron: str, timezone: str) -> str:
    """Return what is wrong with a cron expression or a timezone, a sentence; empty when nothing is."""
    if len(cron.split()) != 5:
        return f"`{cron[:60]}` is no cron expression: five fields, minute hour day-of-month month day-of-week"
    try:
        zone = ZoneInfo(timezone)
    except (ValueError, OSError, LookupError):
        return f"`{timezone[:60]}` is no timezone that this machine knows: write one as Europe/Berlin, or UTC"
    try:
        next(CronSim(cron, datetime(2026, 1, 1, tzinfo=zone)))
    except StopIteration:
        return f"`{cron}` never fires: no day of the next fifty years fits"
    except CronSimError as error:
        never = ", and so it never fires" if "day-of-month" in str(error) else ""
        return f"`{cron[:60]}`: {str(error)[:1].lower()}{str(error)[1:]}{never}"
    return ""


def next_time(schedule: Schedule, after: float) -> float | None:
    """Return the first time of the schedule after `after`, None when there is none.

    At a change to summer time, what falls into the hour that is left out comes right after it; at the change back, what
    names its hour comes once, and what comes at intervals goes on.
    """
    try:
        return next(CronSim(schedule.cron, _local(after, schedule))).timestamp()
    except (StopIteration, CronSimError, ValueError, OSError, OverflowError, LookupError):
        return None


def _local(at: float, schedule: Schedule) -> datetime:
    return datetime.fromtimestamp(at, ZoneInfo(schedule.timezone))


def last_due(schedule: Schedule, first: float, now: float) -> float:
    """Return the last of the schedule's times from `first`, one of them, up to `now`."""
    at = first
    if now - first > 2 * _DAY and (near := next_time(schedule, now - 2 * _DAY)) is not None and near <= now:
        at = near
    while (following := next_time(schedule, at)) is not None and following <= now:
        at = following
    return at


def firing_of(schedules: Iterable[Schedule], name: str | None) -> str:
    """Return the schedule whose firing alone may have this id, or idempotency key; empty when none may."""
    found = _FIRING.fullmatch(name or "")
    return next((known.name for known in schedules if found is not None and known.name == found[1]), "")


def mark(schedule: Schedule) -> str:
    """Return what of the schedule decides its times."""
    return f"{schedule.cron} {schedule.timezone}"


def stamp(at: float) -> str:
    """Return the time as it stands in a firing's id: `20261129T030000Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
