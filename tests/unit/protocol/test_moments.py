"""Moments as people write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.protocol.moments import FORMS, read_moment

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("now", NOON),
        ("90s", NOON - 90),
        ("5m", NOON - 300),
        ("1.5h", NOON - 5400),
        ("2d", NOON - 172_800),
        ("11:30", NOON - 1800),
        ("11:59:30.5", NOON - 29.5),
        ("12:01", NOON - 86_400 + 60),
        ("2026-11-29T11:00:00Z", NOON - 3600),
        ("2026-11-29T13:00:00+02:00", NOON - 3600),
        (" 2026-11-28 12:00 ", NOON - 86_400),
    ],
)
def test_moments(text: str, at: float) -> None:
    assert read_moment(text, NOON, UTC) == at


def test_a_time_is_of_the_zone() -> None:
    assert read_moment("13:30", NOON, timezone(timedelta(hours=2))) == NOON - 1800


@given(st.text(max_size=40) | st.from_regex(r"[0-9:.\-TZ+smhd]{1,20}", fullmatch=True))
def test_any_text_is_a_moment_or_a_sentence(text: str) -> None:
    said, at = "", 0.0
    try:
        at = read_moment(text, NOON, UTC)
    except ValueError as error:
        said = str(error)
    assert at < 1e11
    assert not said or FORMS in said
