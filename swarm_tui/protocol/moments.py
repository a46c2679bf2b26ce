"""Moments as people write them: `5m` ago, `14:30`, `2026-11-29T14:30:00Z`."""

import re
from datetime import datetime, timedelta, tzinfo

_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(s|m|h|d)")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d{1,6})?))?")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
FORMS = "say 90s, 5m, 2h or 1d ago, a time such as 14:30, or 2026-11-29T14:30:00Z"


def read_moment(text: str, now: float, zone: tzinfo | None = None) -> float:
    """Return seconds since the epoch of what `text` means at `now`.

    A time without a date is the last one before `now`; without a zone it is of `zone`, by default this machine's.
    Raises ValueError with a sentence for what is no moment.
    """
    text = text.strip()
    if text == "now":
        return now
    if span := _SPAN.fullmatch(text):
        return now - float(span[1]) * _UNITS[span[2]]
    if clock := _CLOCK.fullmatch(text):
        return _today(clock, now, zone, text)
    try:
        moment = datetime.fromisoformat(text)
        seconds = (moment if moment.tzinfo or zone is None else moment.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"`{text[:40]}` is no moment: {FORMS}") from None
    if not 0 <= seconds < 1e11:
        raise ValueError(f"`{text[:40]}` is no moment: {FORMS}")
    return seconds


def _today(clock: re.Match[str], now: float, zone: tzinfo | None, text: str) -> float:
    hour, minute, second = int(clock[1]), int(clock[2]), float(clock[3] or 0)
    if hour > 23 or minute > 59 or second >= 60:
        raise ValueError(f"`{text}` is no time of a day: {FORMS}")
    day = datetime.fromtimestamp(now, zone)
    fields = {"hour": hour, "minute": minute, "second": int(second), "microsecond": int(second % 1 * 1e6), "fold": 0}
    moment = day.replace(**fields)  # type: ignore[arg-type]  # every field is one of a time
    return moment.timestamp() if moment.timestamp() <= now else (moment - timedelta(days=1)).timestamp()
