"""Rules for tools: no way of writing a command gets more than they allow, or past what they deny."""

import pytest

from swarm_tui.domain.asks.rules import Use, always, judge


def decided(line: str, *, allow: tuple[str, ...] = (), deny: tuple[str, ...] = ()) -> str:
    return judge(Use(tool="Bash", what=(line,)), allow=allow, deny=deny, ask=()).decision


@pytest.mark.parametrize("line", ["pytest", "pytest -q", "pytest -k 'a b'", "pytest && pytest -x", "pytest | pytest"])
def test_a_pattern_allows_what_it_names(line: str) -> None:
    assert decided(line, allow=("Bash(pytest*)",)) == "allow"


@pytest.mark.parametrize(
    "line",
    [
        "pytest; rm -r x",
        "pytest & rm -r x",
        "pytest\nrm -r x",
        "pytest `rm -r x`",
        "pytest $(rm -r x)",
        "pytest > x",
        "(pytest)",
        "X=1 pytest",
        'pytest \\"; rm -r x; \\"',
        'pytest \\" ; rm -r x #"',
        "pytest $'a\\' '; rm -r x #'",
        'pytest $"a"; rm -r x',
        "pytest 'a",
    ],
)
def test_a_pattern_that_allows_one_command_speaks_for_no_other_on_its_line(line: str) -> None:
    assert decided(line, allow=("Bash(pytest*)",)) == "ask"


@pytest.mark.parametrize(
    "line",
    [
        "git push",
        "git  push",
        "cd x && git push 2>&1 | tail",
        "true > x; git push",
        "echo $(git push)",
        "echo `git push`",
        "(cd x; git push)",
        "A=b sudo -E git push",
        "if true; then git push; fi",
        "bash -c 'git push'",
        'g"it" push',
        "\\git push",
        "true\ngit push",
        "x=$(true)\ngit push >/dev/null",
    ],
)
def test_a_denial_counts_wherever_on_the_line_it_stands(line: str) -> None:
    assert decided(line, allow=("Bash",), deny=("Bash(git push*)",)) == "deny"


@pytest.mark.parametrize("line", ["git status", "git stash push", "echo git push"])
def test_a_denial_is_of_what_it_names(line: str) -> None:
    assert decided(line, allow=("Bash",), deny=("Bash(git push*)",)) == "allow"


@pytest.mark.parametrize(
    ("use", "rule"),
    [
        (Use(tool="Bash", what=("make *",)), "Bash(make \\*)"),
        (Use(tool="Edit", what=("a.py",)), "Edit(a.py)"),
        (Use(tool="Edit", what=("a.py", "b.py")), ""),
        (Use(tool="Edit"), ""),
        (Use(tool="Bash"), ""),
        (Use(tool="mcp__swarm__publish"), "mcp__swarm__publish"),
    ],
)
def test_an_always_allows_no_more_than_what_was_asked(use: Use, rule: str) -> None:
    assert always(use) == rule
