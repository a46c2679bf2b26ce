"""A limit's reset is read from whatever words a CLI has for it, and from no others."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.agent.conversation.reset_times import reset_time

NOW = datetime(2026, 11, 29, 13, 30, tzinfo=UTC).timestamp()
HOUR = 3600.0


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Claude AI usage limit reached|" + str(int(NOW + HOUR)), HOUR),
        ("You've hit your limit · resets 3pm (UTC)", 1.5 * HOUR),
        ("5-hour limit reached ∙ resets 3:15pm (UTC)", 1.75 * HOUR),
        ("You've hit your session limit · resets 1am (Europe/Berlin)", 10.5 * HOUR),
        ("Your limit will reset at 1:00pm (UTC).", 23.5 * HOUR),
        ("You've hit your usage limit. Try again in 2 days 3 hours 5 minutes.", 51 * HOUR + 300),
        ("You've hit your usage limit, try again at Nov 30th, 2026 1:30 PM.", 24 * HOUR),
        ("Your quota will reset after 12h34m56s.", 12 * HOUR + 34 * 60 + 56),
        ("429: quota exceeded. Please retry in 34.5s.", 34.5),
        ('{"retryDelay": "7s"}', 7.0),
        ('"resets_in_seconds": 90', 90.0),
        (f'"resets_at": {int(NOW) + 60}', 60.0),
        ("rate_limit_error, retry-after: 12", 12.0),
        ("quota resets at 2026-11-29T14:30:00Z", HOUR),
    ],
)
def test_the_reset_is_read_from_the_words(words: str, seconds: float) -> None:
    assert reset_time(words, NOW, UTC) == pytest.approx(NOW + seconds, abs=1.0)


@pytest.mark.parametrize(
    "words",
    ["", "API Error: 429", "rate limit reached for 3 models", "retry 3 of 10", "resets 3pm (Mars/Olympus)",
     "resets 99:99", "try again at Feb 31st, 2026 1:00 PM", "resets_at: 1000000000", "resets in 900 days", "resets 3"],
)  # fmt: skip
def test_words_that_say_no_time_to_come_have_none(words: str) -> None:
    assert reset_time(words, NOW, UTC) is None


@given(st.text(max_size=300) | st.text(alphabet="resets at in again0123456789:pm()dhms|", max_size=80))
def test_any_words_give_a_time_to_come_or_none(words: str) -> None:
    found = reset_time(words, NOW)
    assert found is None or found > NOW
