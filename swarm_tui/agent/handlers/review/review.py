"""Reviews a change: syntax, ruff, debt and size on the new lines, then the model's opinion where there is one."""

import contextlib
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, MissingToolError, Result
from swarm_tui.agent.handlers.findings import Finding, counts, ordered, rows
from swarm_tui.agent.handlers.git import require_repository
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload
from swarm_tui.agent.handlers.models.client import ModelOptions, why_not
from swarm_tui.agent.handlers.review import ruff
from swarm_tui.agent.handlers.review.change import Change, read_change
from swarm_tui.agent.handlers.review.checks import Limits, check_file


class Payload(Struct, kw_only=True):
    """What `code.review` takes. Without `base` and `head` it reviews what the working tree has not committed."""

    repo: Annotated[str, Meta(description="the git repository, a path within the workdir")] = "."
    base: Annotated[str | None, Meta(description="the commit or branch that the change starts from")] = None
    head: Annotated[str | None, Meta(description="the commit or branch to review; the working tree by default")] = None
    pr: Annotated[int | str | None, Meta(description="a pull request that was fetched as refs/pull/<pr>/head")] = None
    strict: Annotated[bool, Meta(description="a warning is enough to refuse approval")] = False


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's options."""

    llm: ModelOptions | None = None
    limits: Limits = Limits()


class Review:
    """Gives `approved`, `comments` with file and line, and `suggestions`."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Raises MissingToolError (git, ruff), HandlerError (`no-repository`, `no-commit`, `bad-payload`)."""
        payload, options = read_payload(context, Payload), read_options(context, Options)
        repo = inside(context.workdir, payload.repo, what="repo")
        await require_repository(context, repo)
        change = await read_change(context, repo, payload.base, payload.head, payload.pr)
        context.progress(20, f"{len(change.files)} files changed")
        findings = [
            finding
            for file in change.files
            if (text := change.after.get(file.path)) is not None
            for finding in check_file(file, text, change.before.get(file.path), options.limits)
        ]
        context.progress(40, "syntax, debt and size read")
        try:
            findings += await _ruff(context, change, {f.file for f in findings if f.code == "syntax"})
        except MissingToolError as error:
            error.result = {"comments": rows(ordered(findings))}
            raise
        context.progress(60, "ruff has answered")
        suggestions = _size(change, options.limits)
        opinion, agreed = {"used": False, "reason": why_not(options.llm)}, True
        if options.llm is not None and opinion["reason"] is None and change.files:
            from swarm_tui.agent.handlers.review.model import review

            said = await review(context, options.llm, change.files)
            findings, suggestions, agreed = findings + said.findings, suggestions + said.suggestions, said.approved
            opinion = {"used": True, "model": said.model}
        context.progress(100, "reviewed")
        return _result(change, ordered(findings), suggestions, agreed, payload.strict, opinion)


def _result(
    change: Change, findings: list[Finding], suggestions: list[str], agreed: bool, strict: bool, model: dict[str, Any]
) -> Result:
    found = counts(findings)
    approved = agreed and not found["error"] and not (strict and found["warning"])
    return {
        "approved": approved,
        "verdict": "passed" if approved else "failed",
        "comments": rows(findings),
        "suggestions": suggestions,
        "summary": f"{len(change.files)} files, {found['error']} errors, {found['warning']} warnings",
        "counts": found,
        "base": change.base,
        "head": change.head,
        "files": len(change.files),
        "lines_added": sum(len(file.added) for file in change.files),
        "lines_removed": sum(file.removed for file in change.files),
        "skipped": change.skipped,
        "model": model,
    }


def _size(change: Change, limits: Limits) -> list[str]:
    added = sum(len(file.added) for file in change.files)
    if added <= limits.change:
        return []
    return [f"the change adds {added} lines, over {limits.change}: split it into changes that can be read"]


async def _ruff(context: Context, change: Change, broken: set[str]) -> list[Finding]:
    """ruff's findings on new lines, of copies with the project's own configuration beside them."""
    files = [f.path for f in change.files if f.path.endswith((".py", ".pyi")) and f.path in change.after]
    files = [path for path in files if path not in broken]
    with tempfile.TemporaryDirectory(prefix="swarm-review-") as folder:
        root = Path(folder)
        for path in files:
            _write(root / path, change.after[path])
        for path, text in change.configs.items():
            _write(root / path, text)
        found = await ruff.check(context, root, files, configured=_configured(change.configs))
    lines = {file.path: file.added for file in change.files}
    return [finding for finding in found if finding.line in lines[finding.file]]


def _configured(configs: dict[str, str]) -> bool:
    for path, text in configs.items():
        if Path(path).name != "pyproject.toml":
            return True
        with contextlib.suppress(tomllib.TOMLDecodeError):
            if "ruff" in tomllib.loads(text).get("tool", {}):
                return True
    return False


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
