"""No reader of a project's text takes more than proportional time, whatever the text is."""

import re
import time
from collections.abc import Callable

import pytest

from swarm_tui.agent.handlers.docs.links import _tags
from swarm_tui.agent.handlers.models import client
from swarm_tui.agent.handlers.review import checks, diff, languages, model, syntax
from swarm_tui.agent.handlers.review.diff import FileChange
from swarm_tui.agent.handlers.security import audit_files, secrets, tools
from swarm_tui.agent.handlers.testing import report, with_pytest
from swarm_tui.protocol.text import as_read

#: What is repeated: each begins something that only its end, which never comes, would make a match.
PIECES = [
    *(
        "x",
        " ",
        "\t",
        '"',
        "'",
        "<a ",
        "<a '",
        '<a "',
        "<!--",
        "a=",
        "a =",
        "=",
        ":",
        "::",
        "a::",
        "a:1:",
        "{",
        "}",
        "[",
    ),
    *(
        "]",
        "(",
        "%]",
        "[ 33%]",
        "# ",
        "//",
        "/*",
        "*/",
        "\\",
        '\\"',
        '"\\',
        ",",
        ", ",
        "{{",
        "${{",
        "TODO",
        "TODO:",
        "--",
    ),
    *("@@ -1 ", "@@ -1,1 +1,1", "requirements", "requirements-", "a[", "a==", "==", "@" + "0" * 39, "http://", "git+"),
    *("error: ", "a:1:1: ", "SyntaxError: ", " --> ", "[SC1", "\x1b[", "\x1b]", "1;", ">= 3.", "at line ", "x\n", "\n"),
    *("- ", "a.", "a-", "/", "./", "id=", "<", ">", "`", "_", "😀", "é", "ok 1 - ", "not ok ", "E ", "coding:"),
]


def change_of(text: str) -> FileChange:
    return FileChange("a.js", added={1: text})


def requirement(text: str) -> None:
    audit_files._requirement("a", 1, text, [], [], loose=False)


READERS: dict[str, Callable[[str], object]] = {
    "progress": report.progress_of,
    "tap": lambda text: report.Tap(None).line(text),
    "place": lambda text: report.place_in(text, None),
    "frames": report.without_frames,
    "comments of JSON": syntax.without_comments,
    "template": lambda text: syntax._TEMPLATE.search(text),
    "debt": lambda text: list(checks._debt(change_of(text), text)),
    "conflict": lambda text: list(checks._conflicts(change_of(text))),
    "diff": diff.parse,
    "listing": lambda text: diff._listed(text.replace("\n", "\0")),
    "model": model.parse,
    "generated": client.json_in,
    "requirement": requirement,
    "requirement lines": lambda text: list(audit_files._requirement_lines(text)),
    "requirements name": lambda text: audit_files._REQUIREMENTS.search(text[:4096]),
    "places": audit_files._places,
    "secret's name": lambda text: tools._SECRET_NAME.search(text[:4096]),
    "example's name": lambda text: tools.is_example(text[:4096]),
    "pieces": secrets._pieces,
    "html": lambda text: list(_tags(text)),
    "pytest's cause": with_pytest._cause,
    **{
        f"tool {row.name}": lambda text, row=row: re.match(row.finding, as_read(text[: languages.LINE]))
        for row in languages.CHECKS
    },
}


def took(reader: Callable[[str], object], text: str) -> float:
    began = time.process_time()
    reader(text)
    return time.process_time() - began


@pytest.mark.parametrize("name", READERS)
def test_time_grows_with_the_text_only(name):
    reader = READERS[name]
    for piece in PIECES:
        for ending in ("", "!"):
            text = piece * (20_000 // len(piece)) + ending
            first = took(reader, text)
            if first < 0.02:
                continue
            # What takes long is looked at closely: twice the text, and the best of three, for others run here too.
            once = min(first, *(took(reader, text) for _ in range(2)))
            twice = min(took(reader, text + text) for _ in range(3))
            assert twice < 3 * once + 0.02, f"{piece!r}: {once:.3f} s, twice the text {twice:.3f} s"


def test_a_terminals_title_that_never_ends_takes_no_time():
    assert took(as_read, "\x1b]" * 10_000 + "\n!") < 0.2
    assert as_read("a\x1b]0;title\x1b[31mb\x1b]8;;url\x1b\\c\x1b]0;t\x07d\x1b]0;t") == "abcd"
