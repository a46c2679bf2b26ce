"""A task's steps as people read them."""

from swarm_tui.domain.hops import timeline
from swarm_tui.protocol.rows import Hop


def read(*hops: Hop) -> list[str]:
    return [" ".join(filter(None, (hop.what, hop.by and f"by {hop.by}", hop.detail))) for hop in timeline(hops)]


def test_a_cancel_is_told_once_by_who_did_it_and_then_its_effect() -> None:
    hops = [
        Hop(at=10.000, what="queued"),
        Hop(at=20.000, what="cancelled", by="operator:ada", detail=""),
        Hop(at=20.012, what="cancel", by="operator:ada"),
        Hop(at=20.014, what="cancelled", attempt=1, detail="an operator cancelled it"),
    ]
    assert read(*hops) == ["queued", "cancel by operator:ada", "cancelled an operator cancelled it"]


def test_a_retry_has_one_word_and_what_happens_twice_stays_twice() -> None:
    hops = [
        Hop(at=1.0, what="queued"),
        Hop(at=2.0, what="cancelled", by="o"),
        Hop(at=3.0, what="redriven", by="o"),
        Hop(at=3.0, what="queued"),
        Hop(at=3.1, what="retry", by="o"),
        Hop(at=60.0, what="cancelled", by="o"),
    ]
    assert read(*hops) == ["queued", "cancelled by o", "retry by o", "queued", "cancelled by o"]
    # Another cancel of the same person, which it took a while to carry out, is not this one's.
    later = Hop(at=90.0, what="cancelling", by="o")
    assert read(*hops, later)[-2:] == ["cancelled by o", "cancel by o"]
