"""A broker that closes what it accepted, again and again, is left in peace; one that was there is tried at once."""

import time

from swarm_tui.bus.wakeup import LONGEST_WAIT, MOST_SHORT, SHORT_LINK, Backoff, Wakeup


def limit(backoff: Backoff) -> float:
    """The longest that the next wait can be, in seconds."""
    return min(LONGEST_WAIT, 0.2 * 2 ** min(backoff._attempt, 8))


def test_tries_that_fail_wait_ever_longer_up_to_a_limit() -> None:
    backoff, waits = Backoff(), []
    for _ in range(10):
        waits.append(limit(backoff))
        backoff.ended(0.0)
    assert waits[:3] == [0.2, 0.4, 0.8]
    assert waits[-1] == LONGEST_WAIT


def test_a_link_that_lasted_is_tried_again_at_once() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.ended(0.0)
    backoff.began(10.0)
    backoff.ended(10.0 + SHORT_LINK)
    assert limit(backoff) == 0.2


def test_links_that_are_closed_at_once_again_and_again_wait_longer() -> None:
    backoff, waits = Backoff(), []
    for number in range(MOST_SHORT + 8):
        backoff.began(float(number))
        backoff.ended(number + 0.1)
        waits.append(limit(backoff))
    assert waits[:MOST_SHORT] == [0.2] * MOST_SHORT
    assert waits[-1] == LONGEST_WAIT


def test_a_wait_ends_when_all_is_done() -> None:
    backoff, wakeup = Backoff(), Wakeup()
    began = time.monotonic()
    backoff.wait(wakeup, lambda: True, closing=True)
    assert time.monotonic() - began < 0.1
    wakeup.close()
