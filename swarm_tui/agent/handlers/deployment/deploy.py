"""Deploys and rolls back: preflight, publish, health probe, then done, or back to the old release by itself."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.deployment.command import Command
from swarm_tui.agent.handlers.deployment.directory import Directory
from swarm_tui.agent.handlers.deployment.health import wait_healthy
from swarm_tui.agent.handlers.deployment.target import Job, Options, Publish, Target, TargetOptions, check_name
from swarm_tui.agent.handlers.deployment.wrangler import Wrangler
from swarm_tui.agent.handlers.inputs import read_options, read_payload

_KINDS: dict[str, Callable[[Job], Target]] = {"directory": Directory, "command": Command, "wrangler": Wrangler}
_PROGRESS = {
    "preflight": 5,
    "publishing": 25,
    "probing": 60,
    "deployed": 100,
    "rolling-back": 80,
    "rolled-back": 100,
    "failed": 100,
}


class DeployPayload(Struct, kw_only=True):
    """Payload of `deployment.deploy`."""

    service: Annotated[str, Meta(description="the service's name: letters, digits, `.`, `_`, `-`")]
    version: Annotated[str, Meta(description="the version to make live")]
    source: Annotated[str | None, Meta(description="the folder to publish, a path within the workdir")] = None
    previous_version: Annotated[str | None, Meta(description="refuse unless this version is live now")] = None
    target: Annotated[str | None, Meta(description="one of the layout's targets; the first by default")] = None


class RollbackPayload(Struct, kw_only=True):
    """Payload of `deployment.rollback`."""

    service: Annotated[str, Meta(description="the service's name")]
    previous_version: Annotated[
        str | None, Meta(description="the version to go back to; the one before by default")
    ] = None
    version: Annotated[str | None, Meta(description="refuse unless this version is live now")] = None
    target: Annotated[str | None, Meta(description="one of the layout's targets; the first by default")] = None


class Deploy:
    """Makes a version live and proves it healthy; a failed one is rolled back and the task fails, saying so."""

    Payload: ClassVar[type[Struct]] = DeployPayload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Raises HandlerError: `rolled-back`, `not-rolled-back`, `killed`, `preflight`, `busy` (retryable)."""
        payload = read_payload(context, DeployPayload)
        options = read_options(context, Options)
        job, target = plan(context, options, payload.service, payload.version, payload.target, payload.source)
        run = _Run(context, job, target)
        async with run.held():
            with _before():
                if payload.previous_version is not None and payload.previous_version != job.previous:
                    message = f"{job.previous} is live, not {payload.previous_version}"
                    raise HandlerError(message, code="preflight")
                await target.preflight()
            return await run.go(target.publish, "deployed")


class Rollback:
    """Makes an older version live again, and proves it healthy."""

    Payload: ClassVar[type[Struct]] = RollbackPayload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Raises HandlerError (`no-release`, `rolled-back` to what was live, `busy`); MissingToolError."""
        payload = read_payload(context, RollbackPayload)
        options = read_options(context, Options)
        job, target = plan(context, options, payload.service, payload.previous_version, payload.target, None)
        run = _Run(context, job, target)
        async with run.held():
            with _before():
                if payload.version is not None and job.previous is not None and payload.version != job.previous:
                    raise HandlerError(f"{job.previous} is live, not {payload.version}", code="preflight")
                job.version = await target.older(payload.previous_version)
            return await run.go(target.publish_again, "rolled-back")


def plan(
    context: Context, options: Options, service: str, version: str | None, target: str | None, source: str | None
) -> tuple[Job, Target]:
    """Return the job that a payload asks for, and its target.

    Raises HandlerError (`bad-payload`) for names that are none.
    """
    check_name("service", service)
    if version is not None:
        check_name("version", version)
    targets = options.targets or {"directory": TargetOptions()}
    name = target or next(iter(targets))
    if name not in targets:
        raise HandlerError(f"target: no {name!r} in the layout; there are: {', '.join(targets)}", code="bad-payload")
    job = Job(context, service, version or "", name, targets[name], source=source)
    return job, _KINDS[job.options.kind](job)


@contextlib.contextmanager
def _before() -> Iterator[None]:
    """Let what the system refuses before anything was changed fail the task as a preflight, which is not held."""
    try:
        yield
    except OSError as error:
        raise HandlerError(f"preflight: {error}; nothing was changed", code="preflight") from error


class _Run:
    """A deploy: says its steps, and goes back when one fails."""

    def __init__(self, context: Context, job: Job, target: Target) -> None:
        self._context, self._job, self._target = context, job, target
        self._started = time.monotonic()
        self._steps: list[dict[str, object]] = []
        self._live: str | None = None

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep others from deploying the same, and learn what is live. Raises HandlerError (`busy`, `preflight`)."""
        async with contextlib.AsyncExitStack() as stack:
            with _before():
                await stack.enter_async_context(self._target.held())
                self.say("preflight")
                self._job.previous = await self._target.live()
            yield

    def say(self, status: str, message: str = "") -> None:
        """Tell the task's watchers and `deployment/status` where it stands."""
        job, percent = self._job, _PROGRESS[status]
        self._steps.append({"status": status, "at_ms": round((time.monotonic() - self._started) * 1000)})
        text = message or f"{status} {job.service} {job.version}"
        self._context.progress(percent, text)
        body = {"task_id": self._context.task_id, "status": status, "progress": percent, "message": text}
        self._context.publish("deployment/status", {**body, "service": job.service, "version": job.version})

    async def go(self, publish: Publish, done: str) -> Result:
        """Publish and probe; on any failure bring the previous version back."""
        try:
            self.say("publishing", self._publishing())
            url = await publish()
            health = None
            if self._job.probe is not None:
                self.say("probing")
                health = await wait_healthy(self._context, self._job.probe, self._job.values())
        except (HandlerError, OSError, asyncio.CancelledError) as error:
            await self._back(error)
            raise
        self.say(done, f"{self._job.version} is live again" if done == "rolled-back" else "")
        self._live = self._job.version
        try:
            await self._target.settled()
        except OSError as error:
            self._context.log(f"{self._job.version} is live, but could not be noted: {error}")
        return self._result(done, url=url, health=health or "not probed: the layout gives this target no probe")

    def _publishing(self) -> str:
        """Return how much goes out and where to, as far as the target tells."""
        job, facts = self._job, self._job.facts
        if "files" not in facts:
            return ""
        more = f"; {facts['untracked']} files that git does not track stay out" if "untracked" in facts else ""
        return (
            f"publishing {job.service} {job.version}: {facts['files']} files, {facts['bytes']:,} bytes, "
            f"to {facts['path']}{more}"
        )

    async def _back(self, error: BaseException) -> None:
        """Bring the previous version back. Raises HandlerError, unless we are cancelled ourselves."""
        why = str(error) or type(error).__name__
        self.say("rolling-back", why)
        try:
            await self._target.restore()
        except (HandlerError, OSError) as second:
            self.say("failed", f"not rolled back: {second}")
            message = f"{why}; it was NOT rolled back: {second}"
            # A step that a signal ended may have done its part or not: then nobody knows what is live.
            killed = any(getattr(one, "code", "") == "killed" for one in (error, second))
            code = "killed" if killed else "not-rolled-back"
            raise HandlerError(message, code=code, retryable=killed, result=self._result("failed")) from error
        live = self._job.previous
        self.say("rolled-back", f"{live or 'nothing'} is live again")
        if not isinstance(error, asyncio.CancelledError):
            message = f"{why}; rolled back: {live or 'nothing'} is live"
            raise HandlerError(message, code="rolled-back", result=self._result("rolled-back")) from error

    def _result(self, status: str, **more: object) -> Result:
        job = self._job
        live = self._live or job.previous
        known = {"service": job.service, "version": job.version, "previous_version": job.previous, "live": live}
        return {"status": status, **known, "target": job.target_name, **job.facts, "steps": self._steps, **more}
