"""What is made anew because it is made for every message says what the library's own says."""

import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.client.ids import new_id
from swarm_tui.protocol.envelope import rfc3339


@given(st.floats(0, 4e9) | st.integers(0, 4_000_000_000) | st.floats(1.7e9, 1.7e9 + 1))
def test_times_are_those_of_datetime(seconds: float) -> None:
    theirs = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    assert rfc3339(seconds) == theirs.replace("+00:00", "Z")


def test_ids_are_random_uuids() -> None:
    made = [uuid.UUID(new_id()) for _ in range(100)]
    assert {each.version for each in made} == {4}
    assert {each.variant for each in made} == {uuid.RFC_4122}
    assert len(set(made)) == 100
