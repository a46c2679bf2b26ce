"""What a result says of itself, whatever it holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.domain.outcome import outcome, verdict_failed


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"verdict": "failed", "passed": 2, "failed": 1, "skipped": 0}, "failed: 1 failed, 2 passed"),
        ({"verdict": "passed", "summary": "no finding"}, "passed: no finding"),
        ({"message": "saved"}, "saved"),
        ({"verdict": "unknown"}, "unknown"),
        ({"passed": True, "summary": "a\x1b[31mb"}, "a␛[31mb"),
        ([1], ""),
        (None, ""),
    ],
)
def test_a_result_in_few_words(result: Any, words: str) -> None:
    assert outcome(result) == words
    assert verdict_failed(result) is words.startswith("failed")


@given(
    st.dictionaries(
        st.sampled_from(["verdict", "passed", "failed", "summary", "message"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    )
)
def test_no_result_is_too_odd(result: dict[str, Any]) -> None:
    assert outcome(result).isprintable() or not outcome(result).isascii()
