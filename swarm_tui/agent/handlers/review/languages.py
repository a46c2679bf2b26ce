"""Checks files of other languages by the tools that are here: a table as data, which a layout's options extend."""

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError
from swarm_tui.agent.handlers.files import decoded, readable
from swarm_tui.agent.handlers.findings import Finding, Severity
from swarm_tui.agent.handlers.process import Completed, run_process
from swarm_tui.agent.handlers.review.change import WORKING_TREE, Change
from swarm_tui.agent.handlers.review.syntax import is_template, kind_of, matches
from swarm_tui.protocol.text import as_read

#: Seconds for one call of a tool, bytes of its answer, characters of a line and findings that are read of it.
TIMEOUT, LIMIT, LINE, MOST = 120.0, 2_000_000, 1000, 200


class Check(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool that says what is wrong with files.

    `finding` is matched against each line that it prints, and names `file`, `line`, `message` and `code` as groups;
    a line that names only a place and one that names only the message are taken together.
    """

    name: str
    """The tool. A layout's check of the same name takes its place."""
    language: str
    """Of the checks of one language, the first whose tool is here is used."""
    files: list[str]
    """Patterns of names (`*.sh`) or paths (`web/*.js`)."""
    command: list[str]
    """`{file}` is one file, and the tool runs once for each; `{files}` is all of them. With neither, a check that is
    `where: project` runs once and finds them itself."""
    finding: str
    shebangs: list[str] = []
    """Shells and the like whose scripts have no suffix: `bash` for `#!/usr/bin/env bash`."""
    ok: tuple[int, ...] = (0,)
    """Exit statuses that mean no trouble of the tool's own; with any other it must have named a finding."""
    severity: Severity = "error"
    install: str = ""
    stdin: bool = False
    """The file comes by stdin, one at a time."""
    where: Literal["copy", "project"] = "copy"
    """`project`: it runs in the repository itself, and only when the working tree is reviewed."""

    def __post_init__(self) -> None:
        """Raise ValueError for what no tool could be called or read by."""
        try:
            groups = re.compile(self.finding).groupindex
        except re.error as error:
            raise ValueError(f"the check {self.name}: `finding` is no pattern: {error}") from error
        named = self.stdin or self.where == "project" or {"{file}", "{files}"} & {*self.command}
        if not self.command or not named:
            raise ValueError(f"the check {self.name}: `command` names neither {{file}} nor {{files}}")
        if not {"line", "message"} <= groups.keys():
            raise ValueError(f"the check {self.name}: `finding` names no group `line`, or none `message`")


_PLACED = r"^(?P<file>.+?):(?P<line>\d+):\d+: (?P<message>.+)$"
CHECKS = (
    Check(
        name="shellcheck",
        language="shell",
        files=["*.sh", "*.bash", "*.ksh"],
        shebangs=["sh", "bash", "dash", "ksh"],
        # A file that others source has no first line to say of which shell it is.
        command=["shellcheck", "--norc", "--format=gcc", "--severity=warning", "--exclude=SC2148", "--", "{files}"],
        finding=r"^(?P<file>.+?):(?P<line>\d+):\d+: (?P<severity>error|warning): (?P<message>.+) \[(?P<code>SC\d+)\]$",
        install="sudo apt-get install -y shellcheck",
    ),
    Check(
        name="bash",
        language="shell",
        files=["*.sh", "*.bash"],
        shebangs=["sh", "bash", "dash"],
        command=["bash", "-n", "{file}"],
        finding=r"^(?P<file>.+?): line (?P<line>\d+): (?P<message>.+)$",
        install="sudo apt-get install -y bash",
    ),
    Check(
        name="node",
        language="JavaScript",
        files=["*.js", "*.mjs", "*.cjs"],
        command=["node", "--check", "{file}"],
        finding=r"^(?:(?P<file>/.+):(?P<line>\d+)|(?P<message>SyntaxError: .+))$",
        install="sudo apt-get install -y nodejs",
    ),
    Check(
        name="tsc",
        language="TypeScript",
        files=["*.ts", "*.tsx", "*.mts", "*.cts"],
        command=[
            *("tsc", "--noEmit", "--noResolve", "--skipLibCheck", "--pretty", "false", "--jsx", "preserve"),
            *("--target", "esnext", "--module", "esnext", "{files}"),
        ],
        ok=(0, 1, 2),
        # Only what its parser says: what a type is cannot be told of some files alone.
        finding=r"^(?P<file>.+?)\((?P<line>\d+),\d+\): error (?P<code>TS1\d{3}): (?P<message>.+)$",
        install="npm install --global typescript",
    ),
    Check(
        name="gofmt",
        language="Go",
        files=["*.go"],
        command=["gofmt", "-e", "-l", "{files}"],
        finding=_PLACED,
        install="sudo apt-get install -y golang-go",
    ),
    Check(
        name="rustfmt",
        language="Rust",
        files=["*.rs"],
        # By stdin, for it would follow each `mod` to a file that is not in the change.
        command=["rustfmt", "--edition", "2021", "--emit", "stdout", "--color", "never"],
        finding=r"^(?:error(?:\[\w+\])?: (?P<message>.+)| *--> (?P<file><stdin>):(?P<line>\d+):\d+)$",
        install="rustup component add rustfmt",
        stdin=True,
    ),
)
#: Names of files that are no code: nobody expects a check of them.
_PROSE = (
    *("*.md", "*.rst", "*.txt", "*.adoc", "*.csv", "*.tsv", "*.log", "*.lock", "*.sum", "*.svg", "*.po", "*.pot"),
    *("LICENSE*", "LICENCE*", "NOTICE*", "README*", "CHANGELOG*", "AUTHORS*", "COPYING*", ".git*", ".editorconfig"),
    *(".dockerignore", ".npmignore", "py.typed", "*.diff", "*.patch"),
)


class Checked(Struct, kw_only=True):
    """Findings on whatever line, the files that some tool read, and why others were read by none."""

    findings: list[Finding] = []
    read: set[str] = set()
    unchecked: dict[str, str] = {}


def is_prose(path: str) -> bool:
    """Return whether a file is no code, by its name."""
    return matches(path, _PROSE)


async def check(
    context: Context, repo: Path, change: Change, more: Sequence[Check], with_comments: Iterable[str]
) -> Checked:
    """Run the tools on the change's files; one that is missing or fails is named, never raised.

    Raises HandlerError when the task itself is to end.
    """
    table = [*more, *(check for check in CHECKS if check.name not in {own.name for own in more})]
    done = Checked()
    with tempfile.TemporaryDirectory(prefix="swarm-review-") as folder:
        for language in dict.fromkeys(row.language for row in table):
            rows = [row for row in table if row.language == language]
            run = _ToolRun(context, repo, change, Path(folder).resolve(), done)
            await run.language(rows)
    for file in change.files:
        if file.path in change.after and file.path not in done.read and file.path not in done.unchecked:
            kind = kind_of(file.path, with_comments)
            if kind is not None and not (kind == "yaml" and is_template(file.path, change.after[file.path])):
                done.read.add(file.path)
            elif not is_prose(file.path):
                done.unchecked[file.path] = "a template" if kind else "nothing here checks files of its kind"
    for path in done.read & done.unchecked.keys():
        del done.unchecked[path]
    return done


class _ToolRun:
    """Runs the tools on copies of the change's files, and keeps what they say."""

    def __init__(self, context: Context, repo: Path, change: Change, root: Path, done: Checked) -> None:
        self._context, self._repo, self._change, self._root, self._done = context, repo, change, root, done

    async def language(self, rows: list[Check]) -> None:
        """Have the first tool of a language that is here read its files."""
        left = [file.path for file in self._change.files if file.path in self._change.after]
        for row in rows:
            mine = [path for path in left if _is_for(row, path, self._change.after[path])]
            if not mine:
                continue
            if row.where == "project" and self._change.head != WORKING_TREE:
                why: str | None = f"{row.name} reads the working tree only, not a commit"
            else:
                why = await self._tool(row, mine)
            if why is None:
                left = [path for path in left if path not in mine]
            else:
                # The first row says why: the others only stand in for it.
                self._done.unchecked = {**dict.fromkeys(mine, why), **self._done.unchecked}

    async def _tool(self, row: Check, paths: list[str]) -> str | None:
        """Run one tool; return why it could not say anything, None when it did."""
        try:
            found = await self._ask(row, {path: self._change.after[path] for path in paths}, "after")
            broken = await self._broken_before(row, found)
        except MissingToolError:
            return f"{row.name} is not installed here" + (f": run `{row.install}`" if row.install else "")
        except HandlerError as error:
            if self._context.cancel.is_set():
                raise
            return f"{row.name} did not answer: {as_read(str(error).split(chr(10), 1)[0])[:300]}"
        for finding in found:
            if (why := _other_dialect(row, finding, self._change.after[finding.file])) is not None:
                self._done.unchecked[finding.file] = why
            # A change may break a file on a line that it did not touch; what was broken before is not its doing.
            elif self._is_on_new_line(finding) or (finding.severity == "error" and finding.file not in broken):
                self._done.findings.append(finding)
        self._done.read |= {path for path in paths if path not in self._done.unchecked or not found}
        return None

    async def _broken_before(self, row: Check, found: list[Finding]) -> set[str]:
        """Return the files that, with an error on a line the change did not touch, were broken before it."""
        doubtful = {f.file for f in found if f.severity == "error" and not self._is_on_new_line(f)}
        if row.where != "copy":
            return doubtful & self._change.before.keys()
        old = {path: self._change.before[path] for path in doubtful if path in self._change.before}
        return {f.file for f in await self._ask(row, old, "before")} if old else set()

    def _is_on_new_line(self, finding: Finding) -> bool:
        """Return whether the finding is on a line that the change wrote."""
        return any(finding.line in file.added for file in self._change.files if file.path == finding.file)

    async def _ask(self, row: Check, data: dict[str, bytes], side: str) -> list[Finding]:
        """Return the tool's findings of these files, on whatever line."""
        folder, names = self._repo, {str(self._repo / path): path for path in data}
        if row.where == "copy":
            folder = self._root / side
            names = {str(_written(row, folder, path, content)): path for path, content in data.items()}
        at_once = not row.stdin and "{file}" not in row.command
        pattern = re.compile(row.finding)
        found: list[Finding] = []
        for call in [[*names]] if at_once else [[name] for name in names]:
            self._context.progress(65, f"{row.name} reads {len(data)} files of {row.language}")
            argv = [part for word in row.command for part in (call if word == "{files}" else [_filled(word, call[0])])]
            done = await run_process(
                self._context,
                argv,
                cwd=folder,
                env={"NO_COLOR": "1", "TERM": "dumb"},
                timeout=TIMEOUT,
                stdin=Path(call[0]).read_bytes() if row.stdin else None,
                limit=LIMIT,
            )
            said = list(_findings(row, pattern, done, names, None if at_once else names[call[0]], folder))
            if done.returncode not in row.ok and not said:
                raise HandlerError(f"{done.how}: {done.tail}", code="tool")
            found += said[:MOST]
        return found


def _is_for(row: Check, path: str, data: bytes) -> bool:
    """Return whether a tool reads a file, by its name or, where that has no suffix, by its first line."""
    if matches(path, row.files):
        return True
    if not row.shebangs or "." in path.rpartition("/")[2] or not data.startswith(b"#!"):
        return False
    words = [word.rpartition("/")[2] for word in data[2:200].split(b"\n", 1)[0].decode("ascii", "replace").split()]
    return any(word in row.shebangs for word in words[:2])


def _written(row: Check, root: Path, path: str, data: bytes) -> Path:
    """Write the tool's copy of a file; JavaScript of modules gets the name under which node reads it so."""
    name = readable(path)
    if row.name == "node" and path.endswith(".js") and re.search(rb"^[ \t]*+(?:import|export)\b", data, re.MULTILINE):
        name += ".mjs"
    place = root / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return place


def _filled(word: str, name: str) -> str:
    return word.replace("{file}", name)


def _findings(
    row: Check, pattern: "re.Pattern[str]", done: Completed, names: dict[str, str], only: str | None, folder: Path
) -> Iterator[Finding]:
    """Read a tool's lines, of stdout and then of stderr; those of other files than were asked about are left out."""
    place: tuple[str, int] | None = None
    message: tuple[str, str, Severity] | None = None
    for line in f"{done.stdout}\n{done.stderr}".splitlines():
        match = pattern.match(as_read(line[:LINE]))
        if match is None:
            continue
        groups = match.groupdict()
        if groups.get("line"):
            named = groups.get("file") or ""
            path = only or names.get(named) or names.get(str(folder / named))
            place = (path, int(groups["line"][:9])) if path else None
            if path is None:
                message = None
                continue
        if groups.get("message"):
            graveness = groups.get("severity")
            severity: Severity = row.severity if graveness in (None, "error") else "warning"
            message = (groups["message"], groups.get("code") or row.name, severity)
        if place is not None and message is not None:
            text, code, severity = message
            yield Finding(file=place[0], line=place[1], severity=severity, message=text, code=code, tool=row.name)
            place = message = None


def _other_dialect(row: Check, finding: Finding, data: bytes) -> str | None:
    """Return why a finding only says that the file is of a dialect which the tool does not know."""
    if row.name != "node":
        return None
    text = decoded(finding.file, data)
    if "Unexpected token '<'" in finding.message:
        return "it holds JSX, which node does not read"
    if "@flow" in text[:2000]:
        return "it is of Flow, which node does not read"
    return None


def unchecked_lines(done: Checked) -> list[str]:
    """Return a line for each file that nothing checked, with the reason."""
    return [f"{readable(path)}: {why}" for path, why in sorted(done.unchecked.items())]
