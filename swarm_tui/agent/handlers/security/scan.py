"""Scans a project's own files: dangerous code, secrets, permissions."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError, Result
from swarm_tui.agent.handlers.files import is_plain, project_files
from swarm_tui.agent.handlers.findings import Finding, counts, ordered, rows, tell
from swarm_tui.agent.handlers.git import require_repository
from swarm_tui.agent.handlers.inputs import inside, read_payload
from swarm_tui.agent.handlers.review.change import read_change
from swarm_tui.agent.handlers.security import baseline, tools
from swarm_tui.agent.handlers.security.secrets import secrets

Threshold = Literal["low", "medium", "high"]
#: The severities that a threshold refuses.
REFUSED = {"low": ("info", "warning", "error"), "medium": ("warning", "error"), "high": ("error",)}
_TOOLS = ["bandit", "detect-secrets", "permissions"]
_LISTED = 200


class Payload(Struct, kw_only=True):
    """The files to scan, and what fails the scan."""

    repo: Annotated[str, Meta(description="the project, a path within the workdir")] = "."
    source: Annotated[str | None, Meta(description="a folder or file of the project, when not all of it")] = None
    threshold: Annotated[Threshold, Meta(description="the least severity that fails the scan")] = "medium"
    diff: Annotated[bool, Meta(description="only the lines that are new in the working tree")] = False
    base: Annotated[str | None, Meta(description="with diff: the commit or branch since which they are new")] = None
    baseline: Annotated[str, Meta(description="the project's file of accepted findings")] = baseline.NAME
    accept: Annotated[bool, Meta(description="write what is found now as the baseline")] = False


class Scan:
    """Gives `findings` with file and line, and a `verdict`."""

    Payload: ClassVar[type[Struct]] = Payload

    async def run(self, context: Context) -> Result:
        """Raises MissingToolError (bandit, detect-secrets) with what was found without it; HandlerError."""
        payload = read_payload(context, Payload)
        folder = inside(context.workdir, payload.repo, what="repo")
        accepted = inside(folder, payload.baseline, what="baseline", must_exist=False)
        if payload.accept and (payload.diff or payload.source):
            raise HandlerError("accept: a baseline is of the whole project, not of a part", code="bad-payload")
        if payload.base is not None and not payload.diff:
            raise HandlerError("base: it says since when lines are new, so give diff: true too", code="bad-payload")
        files, lines = await _scope(context, folder, payload)
        files = [name for name in files if folder / name != accepted]
        found: list[Finding] = list(tools.permissions(folder, files))
        try:
            context.progress(10, f"{len(files)} files; asking bandit")
            found += await tools.bandit(context, folder, files)
            context.progress(50, "asking detect-secrets")
            leaked, skipped = await secrets(context, folder, files)
        except MissingToolError as error:
            error.result = {"findings": rows(ordered(found))}
            raise
        found += leaked
        if lines is not None:
            found = [f for f in found if f.line == 0 or f.line in lines.get(f.file, ())]
        findings = ordered(found)
        # Read first, for a file that is no baseline is never written over.
        left, known = baseline.without_known(folder, accepted, findings)
        if payload.accept:
            baseline.accept(folder, accepted, findings)
            left, known = [], len(findings)
        context.progress(100, "scanned")
        result = scan_result(left, payload.threshold, files=len(files), tools=_TOOLS, accepted=known)
        result["skipped"] = skipped[:_LISTED]
        if skipped:
            result["summary"] += f"; {len(skipped)} files not looked into for secrets"
        tell(context, result, left)
        return result


async def _scope(
    context: Context, folder: Path, payload: Payload
) -> tuple[list[str], dict[str, dict[int, str]] | None]:
    """Return the files to scan, and of a change the new lines of each."""
    files = await project_files(context, folder, payload.source)
    if not payload.diff:
        return files, None
    await require_repository(context, folder)
    change = await read_change(context, folder, payload.base, None)
    known = set(files)
    lines = {file.path: file.added for file in change.files if file.path in known and is_plain(folder / file.path)}
    return sorted(lines), lines


def scan_result(findings: list[Finding], threshold: str, **more: object) -> Result:
    """Return a result with `findings`, `counts`, `verdict` and `summary`."""
    found = counts(findings)
    failed = any(found[severity] for severity in REFUSED[threshold])
    return {
        "verdict": "failed" if failed else "passed",
        "threshold": threshold,
        "findings": rows(findings),
        "counts": found,
        "summary": f"{found['error']} high, {found['warning']} medium, {found['info']} low",
        **more,
    }
