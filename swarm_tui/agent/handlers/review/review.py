"""Reviews a change: syntax, ruff, debt and size on the new lines, then the model's opinion where there is one."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta, Struct, field

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.checkout import checked_out
from swarm_tui.agent.handlers.files import encoding_of, readable
from swarm_tui.agent.handlers.findings import Finding, counts, ordered, rows, tell
from swarm_tui.agent.handlers.git import require_repository
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload
from swarm_tui.agent.handlers.models.client import ModelOptions, why_not
from swarm_tui.agent.handlers.models.talk import TalkOptions
from swarm_tui.agent.handlers.review import languages, ruff
from swarm_tui.agent.handlers.review.change import WORKING_TREE, Change, read_change
from swarm_tui.agent.handlers.review.checks import Limits, check_file
from swarm_tui.agent.handlers.review.languages import Check, Checked
from swarm_tui.protocol.text import clean_block

if TYPE_CHECKING:
    from swarm_tui.agent.handlers.review.model import ModelReview

#: Lines of each list in a result.
_LISTED = 200


class Payload(Struct, kw_only=True):
    """Payload of `code.review`. Without `base` and `head` it reviews what the working tree has not committed."""

    repo: Annotated[str, Meta(description="the git repository, a path within the workdir")] = "."
    base: Annotated[str | None, Meta(description="the commit or branch that the change starts from")] = None
    head: Annotated[str | None, Meta(description="the commit or branch to review; the working tree by default")] = None
    pr: Annotated[int | str | None, Meta(description="a pull request that was fetched as refs/pull/<pr>/head")] = None
    strict: Annotated[bool, Meta(description="a warning is enough to refuse approval")] = False


class Options(TalkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's options: an agent's `cli` to talk to, or a model to ask, about the change; limits, and further tools
    and names to know files by.
    """

    llm: ModelOptions | None = None
    limits: Limits = Limits()
    checks: list[Check] = field(default_factory=list)
    json_comments: list[str] = field(default_factory=list)
    """Further names of JSON files that may hold comments, such as `*.hjson`."""


class Review:
    """Gives `approved`, `comments` with file and line, `suggestions`, and what was `skipped` or is `unchecked`."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Raises MissingToolError (git, ruff), HandlerError (`no-repository`, `no-commit`, `bad-payload`)."""
        payload, options = read_payload(context, Payload), read_options(context, Options)
        repo = inside(context.workdir, payload.repo, what="repo")
        await require_repository(context, repo)
        change = await read_change(context, repo, payload.base, payload.head, payload.pr)
        context.progress(20, f"{len(change.files)} files changed")
        findings = [*change.findings, *await asyncio.to_thread(_check_files, change, options)]
        context.progress(40, "syntax, debt and size read")
        try:
            findings = _with_ruff(change, findings, await ruff.check(context, change))
        except HandlerError as error:
            error.result = {"comments": rows(ordered(findings))}
            raise
        context.progress(60, "ruff has answered")
        checked = await languages.check(context, repo, change, options.checks, options.json_comments)
        findings += checked.findings
        context.progress(70, "the tools of other languages have answered")
        opinion = await _opinion(context, options, repo, change, findings)
        context.progress(100, "reviewed")
        result = _result(change, findings, checked, _size(change, options.limits), payload.strict, opinion)
        tell(context, result, [*findings, *opinion.findings])
        return {**opinion.talk, **result}


class _Opinion(Struct, kw_only=True):
    """The model's opinion. `agreed` is None where none is configured, or there was nothing to ask of."""

    said: dict[str, Any]
    agreed: bool | None = None
    findings: list[Finding] = []
    suggestions: list[str] = []
    talk: Result = {}
    """The session and the usage of a conversation."""


async def _opinion(context: Context, options: Options, repo: Path, change: Change, findings: list[Finding]) -> _Opinion:
    """Ask the model, where there is one. One that is down or answers prose agrees to nothing."""
    if options.cli is not None and change.files:
        return await _of_cli(context, options, options.cli, repo, change, findings)
    why = why_not(options.llm)
    if options.llm is None or not change.files:
        return _Opinion(said={"used": False, "reason": why or "nothing changed"})
    if why is not None:
        return _Opinion(said={"used": False, "reason": why}, agreed=False)
    from swarm_tui.agent.handlers.review.model import review

    try:
        given = await review(context, options.llm, change.files)
    except HandlerError as error:
        return _none(context, error, findings)
    return _of(given, {})


async def _of_cli(
    context: Context, options: Options, name: str, repo: Path, change: Change, findings: list[Finding]
) -> _Opinion:
    """Talk to an agent's CLI, which sees the files as they are after the change, and may change none."""
    from swarm_tui.agent.handlers.review.model import converse

    try:
        if change.head == WORKING_TREE:
            given, told = await converse(context, options, name, change, repo)
        else:
            async with checked_out(context, repo, change.head) as (folder, _):
                given, told = await converse(context, options, name, change, folder)
    except HandlerError as error:
        return _none(context, error, findings)
    return _of(given, told)


def _none(context: Context, error: HandlerError, findings: list[Finding]) -> _Opinion:
    """Return that there is no opinion. Raises the error again where the task itself is to end."""
    if context.cancel.is_set() or error.code in ("cancelled", "timeout"):
        error.result = {**(error.result or {}), "comments": rows(ordered(findings))}
        raise error
    return _Opinion(said={"used": False, "reason": clean_block(str(error))}, agreed=False)


def _of(given: "ModelReview", told: Result) -> _Opinion:
    said: dict[str, Any] = {"used": not given.prose, "model": clean_block(given.model)}
    if given.prose:
        said["reason"] = "the model answered in prose: it is among the suggestions"
    return _Opinion(said=said, agreed=given.approved, findings=given.findings, suggestions=given.suggestions, talk=told)


def _check_files(change: Change, options: Options) -> list[Finding]:
    return [
        finding
        for file in change.files
        if (data := change.after.get(file.path)) is not None
        for finding in check_file(file, data, change.before.get(file.path), options.limits, options.json_comments)
    ]


def _with_ruff(change: Change, findings: list[Finding], found: list[Finding]) -> list[Finding]:
    """Add ruff's findings on new lines.

    A file that our own Python cannot parse and ruff can is of a newer Python: then it is no error.
    """
    lines = {file.path: file.added for file in change.files}
    invalid = {finding.file for finding in found if finding.code == ruff.INVALID}
    python = {file.path for file in change.files if file.path.endswith((".py", ".pyi"))}
    broken = {finding.file for finding in findings if finding.code == "syntax"} & python
    undecodable = {path for path in broken if encoding_of(path, change.after[path]) is None}
    newer = broken - invalid - undecodable
    kept = [f for f in findings if f.code != "syntax" or f.file not in newer]
    broken -= newer
    for finding in found:
        if finding.code == "ruff-config" or (finding.line in lines[finding.file] and finding.file not in broken):
            kept.append(finding)
    return kept


def _result(
    change: Change,
    findings: list[Finding],
    checked: Checked,
    suggestions: list[str],
    strict: bool,
    opinion: _Opinion,
) -> Result:
    findings = ordered([*findings, *opinion.findings])
    found = counts(findings)
    refused = bool(found["error"]) or (strict and bool(found["warning"]))
    unread = _why_unknown(change, checked, opinion)
    disagrees = opinion.agreed is False and unread is None
    verdict = "failed" if refused or disagrees else "unknown" if unread else "passed"
    told = ((len(change.files), "file"), (found["error"], "error"), (found["warning"], "warning"))
    summary = ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in told)
    left = [f"{len(change.skipped)} not read"] if change.skipped else []
    left += [f"{len(checked.unchecked)} without a check"] if checked.unchecked else []
    summary = ", ".join([summary, *left]) + (f"; not approved: {unread}" if unread else "")
    return {
        "approved": verdict == "passed",
        "verdict": verdict,
        "comments": rows(findings),
        "suggestions": [clean_block(text) for text in (*suggestions, *opinion.suggestions)],
        "summary": summary,
        "counts": found,
        "base": change.base,
        "head": change.head,
        "files": len(change.files),
        "deleted": [readable(file.path) for file in change.files if file.deleted][:_LISTED],
        "lines_added": sum(len(file.added) for file in change.files),
        "lines_removed": sum(file.removed for file in change.files),
        "skipped": change.skipped[:_LISTED],
        "unchecked": languages.unchecked_lines(checked)[:_LISTED],
        "model": opinion.said,
    }


def _why_unknown(change: Change, checked: Checked, opinion: _Opinion) -> str | None:
    """Return why nobody can say that the change is good; None when somebody could."""
    if opinion.agreed is False and not opinion.said["used"]:
        return f"the model gave no opinion: {opinion.said['reason']}"
    read = any(file.path in checked.read for file in change.files)
    if not read and opinion.agreed is None and (checked.unchecked or change.skipped):
        return "nothing in it could be checked"
    return None


def _size(change: Change, limits: Limits) -> list[str]:
    added = sum(len(file.added) for file in change.files)
    if added <= limits.change:
        return []
    return [f"the change adds {added} lines, over {limits.change}: split it into changes that can be read"]
