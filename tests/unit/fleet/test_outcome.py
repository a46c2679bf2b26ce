"""What a result says of itself in few words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.domain.outcome import outcome, particulars, verdict_failed
from swarm_tui.protocol.text import clean

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["verdict", "failures", "findings", "checks", "test", "line", "message"]), inner
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("result", "lines"),
    [
        ({"failures": [{"test": "t.py::a", "line": 3, "message": "assert 1 == 2\nmore"}]}, ["t.py::a: assert 1 == 2"]),
        ({"findings": [{"file": "a.py", "line": 7, "severity": "error", "message": "eval"}]}, ["a.py:7: eval"]),
        ({"findings": [{"file": "a.py", "line": 7, "severity": "info", "message": "style"}]}, []),
        ({"checks": [{"target": "db", "ok": False, "detail": "refused"}, {"target": "web", "ok": True}]},
         ["db: refused"]),
        ({"failures": [{"test": f"t{n}"} for n in range(5)]}, ["t0", "t1", "and 3 more, in the result below"]),
        ({"failures": ["x", None, {}], "findings": {"a": 1}}, []),
        ("text", []),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_a_line_each(result: Any, lines: list[str]) -> None:
    assert particulars(result, 3) == lines


@given(JSON)
def test_any_result_is_told_safely(result: Any) -> None:
    lines = particulars(result, 4)
    assert len(lines) <= 4
    assert all(line == clean(line) for line in [*lines, outcome(result)])
    assert verdict_failed(result) in (True, False)
