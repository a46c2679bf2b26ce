"""The figures of docs/agents.md are those that the run with the real CLIs wrote, and nobody's hand."""

import re
from typing import Any

import pytest

from tests import measured_clis as m
from tests.real_clis import NAMES, ROOT

PAGE = ROOT / "docs/agents.md"
_CELL = re.compile(
    r"\d+\.\d s, `[\w-]+`|\d+\.\d s, of \d+|\d+, \d+|\d+|\d+ MB|\d+ in, \d+ out, (no cost|\$\d\.\d{4})|-"
)


def case(**more: Any) -> dict[str, Any]:
    used = {"tokens_in": 510, "tokens_out": 30, "cost": None}
    known: dict[str, Any] = {"seconds": 1.5, "code": "", "usage": used, "mb": 7, "beside": 0, "calls": 3}
    return {**known, "gone after": 0.2, "processes": 4, **more}


CASES = [
    "write and run", "refused", "read only", "deadline", "resume", "a word in its turn", "cancel at 1 s",
    "cancel at 10 s", "killed in a command", "gone on with after that", "401", "429", "529", "network down",
]  # fmt: skip


def test_the_table_is_as_it_was_written() -> None:
    block, marked = m.block_of(PAGE.read_text())
    assert marked == m.checksum(block), "run `python -m tests.real_clis --write docs/agents.md`, and change no figure"


def test_the_table_has_every_row_of_every_cli_with_its_version() -> None:
    heads, _, versions, *rows = m.block_of(PAGE.read_text())[0].splitlines()
    assert re.fullmatch(r"\| \d{4}-\d\d-\d\d \| " + r" \| ".join(m.HEADS[name] for name in NAMES) + r" \|", heads)
    assert re.fullmatch(r"\| version( \| [\w-]+ \d+\.\d+\.\d+){4} \|", versions), versions
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(m.ROWS)
    cells = [cell for row in rows for cell in row.removesuffix(" |").split(" | ")[1:]]
    assert [cell for cell in cells if not _CELL.fullmatch(cell)] == []
    assert len(cells) == len(m.ROWS) * len(NAMES)


def test_what_was_measured_is_written_between_the_marks_and_nowhere_else() -> None:
    block = m.table({"claude": {name: case() for name in CASES}, "codex": {}}, {"claude": "x 1.2.3"}, "2026-11-30")
    assert "| a bad key | 1.5 s, `success` | - |" in block
    assert "| killed in its third call's command: calls billed, and known | 3, 3 | - |" in block
    page = f"before\n\n{m.BEGIN}\n\n| old |\n\n<!-- end of measured: 000000000000 -->\n\nafter\n"
    new = m.written(page, block)
    assert (new.startswith("before\n\n"), new.endswith("-->\n\nafter\n")) == (True, True)
    assert m.block_of(new) == (block, m.checksum(block))
    assert m.written(new, block) == new
    assert m.checksum(m.block_of(new.replace("1.5 s", "0.1 s"))[0]) != m.block_of(new)[1]


@pytest.mark.parametrize("page", ["", f"{m.BEGIN}\n| x |", "<!-- end of measured: 000000000000 -->"])
def test_a_page_without_marks_is_left_alone(page: str) -> None:
    with pytest.raises(ValueError, match="no marks"):
        m.written(page, "| x |")
