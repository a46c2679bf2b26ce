"""Audits a project's dependencies: known vulnerabilities where there is a network, bad declarations always."""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.files import project_files
from swarm_tui.agent.handlers.findings import Finding, ordered, rows, tell
from swarm_tui.agent.handlers.inputs import inside, read_payload
from swarm_tui.agent.handlers.process import Completed, run_process
from swarm_tui.agent.handlers.security.audit_files import Declared, Pin, plain_name, read_declarations
from swarm_tui.agent.handlers.security.scan import Threshold, scan_result

INSTALL = "python -m pip install 'swarm-tui[tools]'"
#: Seconds that pip-audit may take.
TIMEOUT = 180.0
_NO_NETWORK = (
    *("ConnectionError", "NameResolutionError", "Max retries", "Temporary failure in name resolution", "timed out"),
    *("ServiceError", "ProxyError", "Network is unreachable", "Connection refused"),
)


class Payload(Struct, kw_only=True):
    """Payload of `security.audit`."""

    repo: Annotated[str, Meta(description="the project, a path within the workdir")] = "."
    online: Annotated[
        Literal["auto", "always", "never"], Meta(description="whether known vulnerabilities are looked up")
    ] = "auto"
    threshold: Annotated[Threshold, Meta(description="the least severity that fails the audit")] = "medium"


class Audit:
    """Gives `findings` with file and line. Its `verdict` is `unknown` when nothing was found but not every dependency
    could be looked up; `not_looked_up` names the files of those.
    """

    Payload: ClassVar[type[Struct]] = Payload

    async def run(self, context: Context) -> Result:
        """Raises MissingToolError (pip-audit, unless `online` is never); HandlerError (`offline` with `always`)."""
        payload = read_payload(context, Payload)
        folder = inside(context.workdir, payload.repo, what="repo")
        files = await project_files(context, folder)
        declared = await asyncio.to_thread(read_declarations, folder, files)
        findings, pins = declared.findings, declared.pins
        context.progress(30, f"{len(declared.read)} files with dependencies read")
        looked_up, why = False, "the task says online: never"
        if not pins:
            why = "no exact version of any dependency is known" if declared.unpinned else "no dependency is declared"
        elif payload.online != "never":
            try:
                found, why = await _look_up(context, pins)
            except HandlerError as error:
                error.result = {"findings": rows(ordered(findings))}
                raise
            looked_up = why == ""
            findings += found
        if payload.online == "always" and not looked_up:
            code = "offline" if pins else "nothing-to-look-up"
            raise HandlerError(f"known vulnerabilities were not looked up: {why}", code=code, retryable=bool(pins))
        context.progress(100, "audited")
        result = scan_result(ordered(findings), payload.threshold, files=declared.read, dependencies=len(pins))
        result |= {"not_looked_up": declared.unpinned, **_said(result, looked_up, why, declared)}
        tell(context, result, findings)
        return result


def _said(result: Result, looked_up: bool, why: str, declared: Declared) -> dict[str, Any]:
    verdict = "unknown" if result["verdict"] == "passed" else result["verdict"]
    if looked_up:
        known = {"looked_up": True, "summary": f"{result['summary']}; {len(declared.pins)} exact versions looked up"}
        if not declared.unpinned:
            return known
        left = ", ".join(declared.unpinned[:10])
        note = f"no exact version is known of all in {left}: those were NOT looked up"
        return {**known, "verdict": verdict, "summary": f"{known['summary']}; {note}"}
    note = f"known vulnerabilities were NOT looked up: {why}"
    return {"verdict": verdict, "looked_up": False, "summary": f"{result['summary']}; {note}"}


class _Vulnerability(msgspec.Struct):
    id: str
    fix_versions: list[str] = []
    aliases: list[str] = []


class _Dependency(msgspec.Struct):
    name: str
    version: str = ""
    vulns: list[_Vulnerability] = []
    skip_reason: str = ""


class _Answer(msgspec.Struct):
    dependencies: list[_Dependency] = []


async def _look_up(context: Context, pins: list[Pin]) -> tuple[list[Finding], str]:
    """Return findings, and why nobody could be asked: empty when it went well. Nothing is installed or resolved."""
    found: list[Finding] = []
    for group in _groups(pins):
        more, why = await _ask(context, group)
        found += more
        if why:
            return found, why
    return found, ""


def _groups(pins: list[Pin]) -> list[list[Pin]]:
    """Return the pins such that no group holds two versions of a package, which pip-audit refuses.

    A lock for several platforms, or two projects in one repository, have several.
    """
    versions: dict[str, list[str]] = {}
    groups: list[list[Pin]] = []
    for pin in sorted(pins, key=lambda pin: (pin.name.lower(), pin.version)):
        known = versions.setdefault(plain_name(pin.name), [])
        if pin.version not in known:
            known.append(pin.version)
        at = known.index(pin.version)
        if at == len(groups):
            groups.append([])
        groups[at].append(pin)
    return groups


async def _ask(context: Context, pins: list[Pin]) -> tuple[list[Finding], str]:
    wanted = {f"{plain_name(pin.name)}=={pin.version}": f"{pin.name}=={pin.version}" for pin in reversed(pins)}
    with tempfile.TemporaryDirectory(prefix="swarm-audit-") as scratch:
        listing = Path(scratch) / "requirements.txt"
        listing.write_text("\n".join(sorted(wanted.values())) + "\n")
        argv = ["pip-audit", "--requirement", str(listing), "--no-deps", "--disable-pip", "--format", "json"]
        try:
            done = await run_process(
                context,
                [*argv, "--progress-spinner", "off", "--timeout", "10"],
                timeout=TIMEOUT,
                install=INSTALL,
                env={"XDG_CACHE_HOME": scratch},
                kept=False,
            )
        except HandlerError as error:
            if error.code == "timeout":
                return [], str(error)
            raise
    return _read(done, pins)


def _read(done: Completed, pins: list[Pin]) -> tuple[list[Finding], str]:
    """pip-audit ends with 1 both for findings and for failures: only an answer that can be read is one."""
    try:
        answer = msgspec.json.decode(done.stdout, type=_Answer)
    except msgspec.MsgspecError as error:
        if any(mark in done.stderr for mark in _NO_NETWORK):
            return [], (done.tail.splitlines() or ["no network"])[-1][:300]
        raise HandlerError(f"pip-audit ended with {done.returncode}: {done.tail}", code="pip-audit") from error
    if answer.dependencies and all(dependency.skip_reason for dependency in answer.dependencies):
        # An index of one's own, or a proxy, need not know of vulnerabilities at all.
        return [], f"none of {len(answer.dependencies)} packages could be: {answer.dependencies[0].skip_reason}"
    found = []
    for dependency in answer.dependencies:
        # One that was skipped comes back without its version.
        places = [pin for pin in pins if pin.is_of(dependency.name, dependency.version)]
        for known in dependency.vulns:
            fixed = f"; fixed in {', '.join(known.fix_versions)}" if known.fix_versions else ""
            message = f"{dependency.name} {dependency.version} has a known vulnerability{fixed}"
            found += [_finding(pin, known.id, message) for pin in places]
        if dependency.skip_reason:
            found += [_skipped(pin, dependency.skip_reason) for pin in places]
    return found, ""


def _finding(pin: Pin, code: str, message: str) -> Finding:
    return Finding(file=pin.file, line=pin.line, severity="error", code=code, message=message, tool="pip-audit")


def _skipped(pin: Pin, reason: str) -> Finding:
    message = f"{pin.name} {pin.version} could not be looked up: {reason}"
    return Finding(file=pin.file, line=pin.line, severity="warning", code="skipped", message=message, tool="pip-audit")
