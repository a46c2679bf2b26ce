"""Where a deploy goes: the layout's targets, and what each of them must be able to do."""

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.deployment.health import Probe

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


class TargetOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A target of the layout. Placeholders in commands: {service} {version} {previous_version} {source} {path}."""

    kind: Literal["directory", "command", "wrangler"] = "directory"
    path: str = "deploy"
    """Of `directory`: the folder that holds `<service>/releases`; relative to the workdir, or absolute."""
    keep: int = 5
    build: list[str] | None = None
    """Run in the source before anything is published."""
    preflight: list[str] | None = None
    publish: list[str] | None = None
    rollback: list[str] | None = None
    url: str | None = None
    environment: str | None = None
    """Of `wrangler`: its `--env`."""
    passed: list[str] = []
    """Names of variables of the agent's environment that the commands get."""
    timeout: float = 600.0
    probe: Probe | None = None


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's options: `targets` by name. Without any, a `directory` under `deploy/` in the workdir."""

    targets: dict[str, TargetOptions] = {}


#: Makes something live, and gives its URL or path.
Publish = Callable[[], Awaitable[str | None]]


class Target(Protocol):
    """A place that a service can be deployed to. All may raise HandlerError and OSError."""

    def held(self) -> AbstractAsyncContextManager[None]:
        """Keep others from deploying the same."""
        ...

    async def live(self) -> str | None:
        """The version that is live, where that can be known."""
        ...

    async def preflight(self) -> None:
        """Raise HandlerError (`preflight`) for what would make the deploy fail."""
        ...

    async def publish(self) -> str | None:
        """Make the job's version live; its URL or path."""
        ...

    async def older(self, wanted: str | None) -> str:
        """The version to go back to. Raises HandlerError (`no-release`)."""
        ...

    async def publish_again(self) -> str | None:
        """Make the job's version, one that was released before, live."""
        ...

    async def restore(self) -> None:
        """Make the job's previous version live again, whatever was done until now."""
        ...

    async def settled(self) -> None:
        """The version is live and healthy: remember it, and clear up."""
        ...


class Job(Struct):
    """A deploy. `version` is empty until a rollback knows where it goes."""

    context: Context
    service: str
    version: str
    target_name: str
    options: TargetOptions
    source: str | None = None
    previous: str | None = None
    path: str = ""

    @property
    def probe(self) -> Probe | None:
        return self.options.probe

    def values(self) -> dict[str, str]:
        """Return what placeholders stand for."""
        return {
            "service": self.service,
            "version": self.version,
            "previous_version": self.previous or "",
            "source": self.source or "",
            "path": self.path,
        }


def plan(
    context: Context, options: Options, service: str, version: str | None, target: str | None, source: str | None
) -> tuple[Job, Target]:
    """The job that a payload asks for. Raises HandlerError (`bad-payload`) for names that are none."""
    check_name("service", service)
    if version is not None:
        check_name("version", version)
    targets = options.targets or {"directory": TargetOptions()}
    name = target or next(iter(targets))
    if name not in targets:
        raise HandlerError(f"target: no {name!r} in the layout; there are: {', '.join(targets)}", code="bad-payload")
    job = Job(context, service, version or "", name, targets[name], source=source)
    return job, _KINDS[job.options.kind](job)


def _directory(job: Job) -> Target:
    from swarm_tui.agent.handlers.deployment.directory import Directory

    return Directory(job)


def _command(job: Job) -> Target:
    from swarm_tui.agent.handlers.deployment.command import Command

    return Command(job)


def _wrangler(job: Job) -> Target:
    from swarm_tui.agent.handlers.deployment.wrangler import Wrangler

    return Wrangler(job)


_KINDS: dict[str, Callable[[Job], Target]] = {"directory": _directory, "command": _command, "wrangler": _wrangler}


def check_name(what: str, name: str) -> None:
    """Raises HandlerError unless `name` can be a folder's name and a command's argument."""
    if not _NAME.fullmatch(name):
        raise HandlerError(f"{what}: {name!r} is no name: letters, digits, `.`, `_`, `+`, `-`", code="bad-payload")
