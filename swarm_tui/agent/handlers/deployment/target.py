"""Targets of a deploy, as the layout names them, and what each of them must be able to do."""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec import Struct, field

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.deployment.health import Probe, fill
from swarm_tui.agent.handlers.process import Completed, run_process

#: Seconds that a rollback's command may take.
UNDO_TIMEOUT = 120.0
#: The steps that change what is live.
LASTING = frozenset({"publish", "rollback"})
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
    """Of `wrangler`: its `--env`. Targets of one Worker share what is live, whatever their environment."""
    worker: str | None = None
    """Of `wrangler`: the Worker's name, such as `{service}-staging`; the service's by default."""
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
        """Return the version that is live, where that can be known."""
        ...

    async def preflight(self) -> None:
        """Raise HandlerError (`preflight`) for what would make the deploy fail."""
        ...

    async def publish(self) -> str | None:
        """Make the job's version live; its URL or path."""
        ...

    async def older(self, wanted: str | None) -> str:
        """Return the version to go back to. Raises HandlerError (`no-release`)."""
        ...

    async def publish_again(self) -> str | None:
        """Make the job's version, one that was released before, live."""
        ...

    async def restore(self) -> None:
        """Make the job's previous version live again, whatever was done until now."""
        ...

    async def settled(self) -> None:
        """Remember that the version is live and healthy, and clear up."""
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
    facts: dict[str, Any] = field(default_factory=dict)
    """A target's words for the result, of what it publishes: `source`, `files`, `bytes`, `path`, `untracked`."""

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


async def run_step(
    job: Job,
    argv: list[str] | None,
    what: str,
    *,
    cwd: Path,
    undo: bool = False,
    install: str = "",
    passed: Sequence[str] = (),
    **env: str,
) -> Completed | None:
    """Run one of a deploy's commands, if there is one.

    Raises HandlerError (`what`) unless it ends with 0; `killed` when a signal ended one that changes what is live.
    """
    if argv is None:
        return None
    done = await run_process(
        job.context,
        [fill(part, job.values()) for part in argv],
        cwd=cwd,
        env=env,
        passed=[*job.options.passed, *passed],
        timeout=UNDO_TIMEOUT if undo else job.options.timeout,
        heed_cancel=not undo,
        install=install,
    )
    if done.returncode != 0:
        code = "killed" if done.killed and what in LASTING else what
        raise HandlerError(
            f"{what}: {argv[0]} ended with {done.how}: {done.tail}", code=code, retryable=code == "killed"
        )
    return done


def check_name(what: str, name: str) -> None:
    """Raises HandlerError unless `name` can be a folder's name and a command's argument."""
    if not _NAME.fullmatch(name):
        raise HandlerError(f"{what}: {name!r} is no name: letters, digits, `.`, `_`, `+`, `-`", code="bad-payload")
