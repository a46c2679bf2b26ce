"""When a usage limit is reset, as CLIs and their servers say it in words. Pure, but for the zones of the system."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

#: Seconds for which nobody's limit lasts: what says so means something else.
_MOST = 40 * 86_400.0
_EPOCH = re.compile(r"(?:limit reached\||resets?_?(?:at)?[\"': =|]+)(1[0-9]{9})(?:[0-9]{3})?\b", re.IGNORECASE)
_ISO = re.compile(
    r"(?:reset|again|retry)[^0-9]{0,30}([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?)",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"(?:reset[s]?(?:_in(?:_seconds)?)?|again|retry|retry-after|retryDelay)[\"': =]*(?:after|in)?[\"': =]*"
    r"((?:[0-9]+(?:\.[0-9]+)?\s*(?:d(?:ays?)?|h(?:ours?|rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)(?![A-Za-z])"
    r"[ ,]*(?:and )?)+)",
    re.IGNORECASE,
)
_SECONDS = re.compile(r"(?:resets?_in_seconds|retry[_-]after)[\"': =]+([0-9]+(?:\.[0-9]+)?)\b", re.IGNORECASE)
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([dhms])", re.IGNORECASE)
_CLOCK = re.compile(
    r"(?:resets?(?: at)?|again at)\s+(?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+"
    r"(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?,?\s*(?P<year>[0-9]{4})?,?\s*(?:at\s+)?)?"
    r"(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2}))?\s*(?P<half>am|pm)?\s*(?:\((?P<zone>[A-Za-z_+/-]{3,40})\))?",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LENGTH = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


def reset_time(words: str, now: float, zone: tzinfo | None = None) -> float | None:
    """Return when the limit is reset of which the words tell, in seconds since the epoch; None where they do not say.

    A time of day is the next one after `now`, in the zone that they name, else in `zone` (the system's by default).
    """
    words = words[:4000]
    found = _stated(words) or _counted(words, now) or _on_the_clock(words, now, zone)
    return found if found is not None and now < found < now + _MOST else None


def _stated(words: str) -> float | None:
    if (epoch := _EPOCH.search(words)) is not None:
        return float(epoch[1])
    if (iso := _ISO.search(words)) is None:
        return None
    try:
        at = datetime.fromisoformat(iso[1].replace(" ", "T").replace("Z", "+00:00"))
    except ValueError:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _counted(words: str, now: float) -> float | None:
    if (plain := _SECONDS.search(words)) is not None:
        return now + float(plain[1])
    if (after := _AFTER.search(words)) is None:
        return None
    return now + sum(float(count) * _LENGTH[unit.lower()] for count, unit in _PART.findall(after[1]))


def _on_the_clock(words: str, now: float, zone: tzinfo | None) -> float | None:
    found = _CLOCK.search(words)
    if found is None or not (found["half"] or found["minute"]):
        return None
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].lower() == "pm" else 0)
    try:
        where = ZoneInfo(found["zone"]) if found["zone"] else zone
        here = datetime.fromtimestamp(now, where) if where is not None else datetime.fromtimestamp(now).astimezone()
        at = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if found["month"]:
            month = _MONTHS.index(found["month"].lower()) + 1
            year = int(found["year"] or here.year + (month < here.month))
            return at.replace(year=year, month=month, day=int(found["day"])).timestamp()
    except (ValueError, OverflowError, ZoneInfoNotFoundError):
        return None
    return (at if at > here else at + timedelta(days=1)).timestamp()
