"""Claims on paths: never two tasks with what may be one file, and free again with the end of the attempt."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarm_tui.domain.dispatch import Say
from swarm_tui.domain.mail.paths import mistake, normal, overlap
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.mail_bodies import PathsClaim, PathsRelease
from swarm_tui.protocol.topics import Kind
from tests.examples import examples
from tests.unit.dispatch.world import World, of, offers, orders

NAMES = st.text("abAB.é", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
PARTS = st.one_of(NAMES, st.sampled_from(["*", "?", "**", "a*", "*b", "a?", "[ab]", "[!a]b", "*.a", "a*b*"]))
FILES = st.lists(NAMES, min_size=1, max_size=4)
GLOBS = st.lists(PARTS, min_size=1, max_size=4)


def matches(glob: list[str], parts: list[str]) -> bool:
    """The plain meaning: part by part, `**` any parts, and all that is below."""
    if not glob:
        return True
    if glob[0] == "**":
        return any(matches(glob[1:], parts[n:]) for n in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], glob[0]) and matches(glob[1:], parts[1:])


@settings(max_examples=examples(500))
@given(FILES, GLOBS, GLOBS)
@example(["é"], ["?"], ["é"])
@example(["a", "b"], ["a"], ["**", "b"])
def test_two_globs_that_one_file_fits_overlap(file: list[str], one: list[str], other: list[str]) -> None:
    fit = matches(one, file) and matches(other, file)
    assert overlap("/".join(one), "/".join(other)) >= fit


@settings(max_examples=examples(300))
@given(FILES, GLOBS)
def test_each_file_overlaps_with_the_globs_that_it_fits(file: list[str], glob: list[str]) -> None:
    assert overlap("/".join(glob), "/".join(file)) >= matches(glob, file)


@given(GLOBS, GLOBS)
def test_overlap_is_mutual_and_of_each_with_itself(one: list[str], other: list[str]) -> None:
    first, second = "/".join(one), "/".join(other)
    assert overlap(first, second) == overlap(second, first)
    assert overlap(first, first)


@pytest.mark.parametrize(
    ("one", "other"),
    [("src/a.py", "src/b.py"), ("src", "tests"), ("src/*.py", "src/*.md"), ("a/b", "a/c/**"), ("doc?", "docs1")],
)
def test_what_cannot_be_one_file_does_not_overlap(one: str, other: str) -> None:
    assert not overlap(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("src", "src/deep/a.py"),
        ("./src/", "src"),
        ("src/**/a.py", "src/a.py"),
        (".", "anything"),
        ("README.md", "readme.md"),
        ("src/[ab].py", "src/c.py"),
        ("**/test_*.py", "tests/unit"),
    ],
)
def test_what_may_be_one_file_overlaps(one: str, other: str) -> None:
    assert overlap(one, other)


@pytest.mark.parametrize("path", ["", "  ", "/etc", "~/x", "../x", "a/../b", "a/{b,c}", "C:\\x", "a\nb", "x" * 301])
def test_what_cannot_be_claimed_is_told(path: str) -> None:
    assert mistake(path)


def test_long_patterns_are_compared_in_a_moment() -> None:
    assert not overlap("*a" * 140 + "b", "*a" * 140 + "c")
    assert normal("./a//b/") == "a/b"


def given_to(world: World, task_id: str) -> Say:
    (offer,) = offers(world.submit(task_id))
    world.start(offer)
    return offer


def claim(world: World, offer: Say, claim_id: str, *paths: str) -> list[Say]:
    assert isinstance(offer.body, b.Inbox)
    body = PathsClaim(
        claim_id=claim_id, task_id=offer.body.task_id or "", agent_id=offer.key, attempt=offer.body.attempt,
        epoch=offer.body.epoch, paths=list(paths),
    )  # fmt: skip
    return world.hear(Kind.PATHS_CLAIM, body, sender=offer.key)


def two() -> tuple[World, Say, Say]:
    world = World()
    world.agent("a")
    world.agent("b")
    return world, given_to(world, "t1"), given_to(world, "t2")


def test_a_second_claim_is_told_who_holds_what_since_when() -> None:
    world, one, other = two()
    says = claim(world, one, "c1", "src/**", "docs")
    assert of(says, Kind.PATHS_CLAIMED)[0].paths == ["src/**", "docs"]
    since = world.wall
    world.tick(5.0)
    says = claim(world, other, "c2", "src/a.py")
    (refused,) = of(says, Kind.PATHS_REFUSED)
    assert (refused.holder, refused.holder_task, refused.paths, refused.since) == (one.key, "t1", ["src/**"], since)
    (order,) = orders(says, "paths")
    assert isinstance(order.body, b.Inbox)
    assert order.body.answer is not None
    assert order.body.answer["granted"] is False
    assert of(claim(world, other, "c3", "tests"), Kind.PATHS_CLAIMED)


def test_the_same_claim_again_is_the_same_and_a_task_may_claim_within_its_own() -> None:
    world, one, _ = two()
    claim(world, one, "c1", "src")
    assert of(claim(world, one, "c1", "src"), Kind.PATHS_CLAIMED)
    assert len(world.job("t1").paths) == 1
    assert of(claim(world, one, "c2", "src/a"), Kind.PATHS_CLAIMED)


@pytest.mark.parametrize("how", ["complete", "fail", "cancel", "death", "silence", "release"])
def test_paths_are_free_once_the_attempt_is_over(how: str) -> None:
    world, one, other = two()
    claim(world, one, "c1", "src")
    if how == "complete":
        says = world.complete(one)
    elif how == "fail":
        says = world.fail(one)
    elif how == "cancel":
        says = world.act(Kind.TASK_CANCEL, "t1") + world.fail(one, retryable=False, cause="cancelled")
    elif how == "death":
        says = world.agent(one.key, incarnation="i2")
    elif how == "silence":
        says = []
        for _ in range(6):
            world.beat(other.key, other)
            says += world.tick(8.0)
    else:
        body = PathsRelease(task_id="t1", agent_id=one.key)
        says = world.hear(Kind.PATHS_RELEASE, body, sender=one.key)
    assert [(one.task_id, one.paths) for one in of(says, Kind.PATHS_RELEASED)] == [("t1", ["src"])]
    assert of(claim(world, other, "c2", "src"), Kind.PATHS_CLAIMED)


def test_claims_outlive_the_dispatcher() -> None:
    world, one, other = two()
    claim(world, one, "c1", "src")
    world.crash()
    for offer in (one, other):
        world.agent(offer.key)
        world.beat(offer.key, offer)
    assert of(claim(world, other, "c2", "src/a"), Kind.PATHS_REFUSED)


def test_one_who_does_not_hold_the_task_claims_nothing() -> None:
    world, one, _ = two()
    body = PathsClaim(claim_id="c", task_id="t1", agent_id="a", attempt=9, epoch=9, paths=["src"])
    assert "does not hold" in of(world.hear(Kind.PATHS_CLAIM, body, sender="a"), Kind.PATHS_REFUSED)[0].reason
    world.complete(one)
    assert of(claim(world, one, "c1", "src"), Kind.PATHS_REFUSED)


def test_bounds_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world, one, _ = two()
    assert "1 to 50" in of(claim(world, one, "c1"), Kind.PATHS_REFUSED)[0].reason
    assert "1 to 50" in of(claim(world, one, "c1", *map(str, range(51))), Kind.PATHS_REFUSED)[0].reason
    monkeypatch.setattr("swarm_tui.domain.dispatch.path_claims.MAX_HELD", 3)
    assert "at most 3" in of(claim(world, one, "c1", *"abcd"), Kind.PATHS_REFUSED)[0].reason
    monkeypatch.setattr("swarm_tui.domain.dispatch.path_claims.MAX_ALL", 2)
    assert "no more can be" in of(claim(world, one, "c1", *"abc"), Kind.PATHS_REFUSED)[0].reason
    assert "outside" in of(claim(world, one, "c1", "../x"), Kind.PATHS_REFUSED)[0].reason
