"""Filters kept by name: what is read is what was kept, and a bad file is told of and never written over."""

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.config.saved_filters import MAX_BYTES, SavedFilter, SavedFilters
from tests.examples import examples

NAMES = st.text(min_size=1, max_size=12).filter(lambda text: text == text.strip() and text.isprintable())
TEXTS = st.text(min_size=1, max_size=30).filter(lambda text: bool(text.strip()) and text.isprintable())


@settings(max_examples=examples(60), deadline=None)
@given(st.dictionaries(NAMES, st.tuples(st.sampled_from(["agents", "tasks", "stream"]), TEXTS), max_size=6))
def test_what_was_kept_is_read(tmp_path_factory: pytest.TempPathFactory, kept: dict[str, tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("f") / "none" / "filters.json"
    for name, (panel, text) in kept.items():
        assert SavedFilters(path).keep(name, panel, text) is None
    assert SavedFilters(path).read() == ({name: SavedFilter(*each) for name, each in kept.items()}, [])
    for name in kept:
        assert SavedFilters(path).remove(name) is None
    assert SavedFilters(path).read() == ({}, [])


@pytest.mark.parametrize(
    ("text", "place", "good"),
    [
        ('{"a": ', ":1:7:", []),
        ('{\n "a": 5}', ":2:2:", []),
        ('{\n "a": {"panel": "tasks", "filter": "x"},\n "b": {"panel": "wall", "filter": "x"}}', ":3:2:", ["a"]),
        ('{"a": {"panel": "tasks", "filter": "two\\nlines"}}', ":1:2:", []),
        ('{" ": {"panel": "tasks", "filter": "x"}}', ":1:2:", []),
        ("[]", ":1:1:", []),
        ("[" * 100_000, "filters.json", []),
        ("1" * 10_000, "filters.json", []),
        (" " * (MAX_BYTES + 1), "bytes", []),
        ("\x00", ":1:1:", []),
    ],
)
def test_a_bad_file_is_told_by_its_place_and_stays_as_it_is(
    tmp_path: Path, text: str, place: str, good: list[str]
) -> None:
    path = tmp_path / "filters.json"
    path.write_text(text)
    filters = SavedFilters(path)
    found, mistakes = filters.read()
    assert list(found) == good
    assert any(place in mistake for mistake in mistakes), mistakes
    for reason in (filters.keep("c", "tasks", "x"), filters.remove("a")):
        assert reason is not None
        assert "nothing was written: mend" in reason
    assert path.read_text() == text


def test_no_text_and_no_disk(tmp_path: Path) -> None:
    path = tmp_path / "filters.json"
    path.write_bytes(b"\xff\xfe")
    assert "UTF-8" in SavedFilters(path).read()[1][0]
    (tmp_path / "file").write_text("")
    reason = SavedFilters(tmp_path / "file" / "filters.json").keep("a", "tasks", "x")
    assert reason is not None
    assert "nothing was written" in reason
    assert "name is 1 to" in str(SavedFilters().keep("", "tasks", "x"))
    assert "`panel` is one of" in str(SavedFilters().keep("a", "pane", "x"))
    assert "of one line" in str(SavedFilters().keep("a", "tasks", "x" * 501))


def test_two_screens_that_keep_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "filters.json"

    def keep(first: int) -> None:
        for number in range(first, first + 20):
            assert SavedFilters(path).keep(f"f{number}", "tasks", "x") is None

    threads = [threading.Thread(target=keep, args=(first,)) for first in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(path.read_text())) == 60


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "filters.json"
    real.write_text("{}")
    (tmp_path / "filters.json").symlink_to(real)
    assert SavedFilters(tmp_path / "filters.json").keep("a", "tasks", "x") is None
    assert (tmp_path / "filters.json").is_symlink()
    assert "a" in json.loads(real.read_text())
