"""Scans a project's own files: dangerous code, secrets, permissions."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, MissingToolError, Result
from swarm_tui.agent.handlers.files import project_files
from swarm_tui.agent.handlers.findings import Finding, counts, ordered, rows
from swarm_tui.agent.handlers.inputs import inside, read_payload
from swarm_tui.agent.handlers.security import tools

Threshold = Literal["low", "medium", "high"]
#: The severities that a threshold refuses.
REFUSED = {"low": ("info", "warning", "error"), "medium": ("warning", "error"), "high": ("error",)}


class Payload(Struct, kw_only=True):
    """Payload of `security.scan`."""

    repo: Annotated[str, Meta(description="the project, a path within the workdir")] = "."
    source: Annotated[str | None, Meta(description="a folder or file of the project, when not all of it")] = None
    threshold: Annotated[Threshold, Meta(description="the least severity that fails the scan")] = "medium"


class Scan:
    """Gives `findings` with file and line, and a `verdict`."""

    Payload: ClassVar[type[Struct]] = Payload

    async def run(self, context: Context) -> Result:
        """Raises MissingToolError (bandit, detect-secrets) with what was found without it; HandlerError."""
        payload = read_payload(context, Payload)
        folder = inside(context.workdir, payload.repo, what="repo")
        files = await project_files(context, folder, payload.source)
        found: list[Finding] = list(tools.permissions(folder, files))
        try:
            context.progress(10, f"{len(files)} files; asking bandit")
            found += await tools.bandit(context, folder, files)
            context.progress(50, "asking detect-secrets")
            found += await tools.secrets(context, folder, files)
        except MissingToolError as error:
            error.result = {"findings": rows(ordered(found))}
            raise
        context.progress(100, "scanned")
        return scan_result(ordered(found), payload.threshold, files=len(files), tools=_TOOLS)


_TOOLS = ["bandit", "detect-secrets", "permissions"]


def scan_result(findings: list[Finding], threshold: str, **more: object) -> Result:
    """A result with `findings`, `counts`, `verdict` and `summary`."""
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
