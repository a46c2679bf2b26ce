"""Deploys into a folder of releases on this machine, one of which a symlink names as the current one."""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.deployment.release import CURRENT, Releases, shown
from swarm_tui.agent.handlers.deployment.target import Job, run_step
from swarm_tui.agent.handlers.git import try_git
from swarm_tui.agent.handlers.inputs import inside
from swarm_tui.config.home import at_home

#: Folders of a named source that are never part of what is published.
_TOOLS = frozenset({".git", ".hg", ".svn"})


class Directory:
    """The `directory` target."""

    def __init__(self, job: Job) -> None:
        self._job = job
        root = job.context.workdir / at_home(job.options.path) / job.service
        self._releases = Releases(root)
        self._source = job.context.workdir
        self._files: list[str] = []
        self._stopped = False
        job.path = str(root / CURRENT)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep others from deploying the service. Raises HandlerError (`busy`)."""
        with self._releases.locked():
            yield

    async def live(self) -> str | None:
        """Return the version that `current` names."""
        return self._releases.live()

    async def preflight(self) -> None:
        """Raise HandlerError (`preflight`): no files to publish, or no room for them."""
        job = self._job
        if job.source is not None:
            self._source = inside(job.context.workdir, job.source, what="source")
        await run_step(job, job.options.build, "build", cwd=self._folder())
        await run_step(job, job.options.preflight, "preflight", cwd=self._folder())
        self._files = await self._list()
        if not self._files:
            raise HandlerError(f"source: {self._source} holds no files to publish", code="preflight")
        size = sum((self._folder() / name).lstat().st_size for name in self._files)
        job.facts |= {"source": str(self._source), "files": len(self._files), "bytes": size}
        job.facts["path"] = str(self._releases.folder / job.version)
        free = shutil.disk_usage(self._releases.root).free
        if size * 1.1 + 1_000_000 > free:
            raise HandlerError(f"{size} bytes to publish, {free} free in {self._releases.root}", code="preflight")

    async def publish(self) -> str | None:
        """Copy the files into a release of their own, then switch to it."""
        job = self._job
        try:
            await asyncio.to_thread(self._releases.add, job.version, self._folder(), self._files, self._is_stopped)
        except asyncio.CancelledError:
            self._stopped = True
            raise
        return await self.publish_again()

    async def publish_again(self) -> str | None:
        """Switch to the release; one step, before which a cancel still leaves the old one live."""
        if self._is_stopped():
            raise HandlerError("cancelled before it went live", code="cancelled")
        self._releases.switch(self._job.version)
        return self._job.options.url or str(self._releases.root / CURRENT)

    async def older(self, wanted: str | None) -> str:
        """Return the version to go back to. Raises HandlerError (`no-release`)."""
        version = wanted or self._releases.before(self._releases.live())
        if version is None or not self._releases.has(version):
            there = ", ".join(self._releases.versions()) or "none"
            raise HandlerError(f"no release {wanted or 'to go back to'}; there are: {there}", code="no-release")
        return version

    async def restore(self) -> None:
        """Switch back to what was live."""
        if self._releases.live() != self._job.previous or self._job.previous is None:
            self._releases.switch(self._job.previous)

    async def settled(self) -> None:
        """Note the version as healthy, and delete the oldest releases."""
        job = self._job
        self._releases.record(job.version, time.time(), job.context.task_id)
        gone = await asyncio.to_thread(self._releases.prune, job.options.keep, {job.version, job.previous})
        if gone:
            job.context.log(f"deleted old releases: {', '.join(gone)}")

    def _is_stopped(self) -> bool:
        return self._stopped or self._job.context.cancel.is_set()

    def _folder(self) -> Path:
        return self._source if self._source.is_dir() else self._source.parent

    async def _list(self) -> list[str]:
        """Return what to publish: all of a source that was named; of the workdir itself, what git tracks."""
        if self._source.is_file():
            return [self._source.name]
        workdir = self._job.context.workdir.resolve()
        whole = self._source.resolve() == workdir
        files = await self._tracked() if whole else _walk(self._source)
        return self._foreign(files)

    def _foreign(self, files: list[str]) -> list[str]:
        """Return those that are no releases of ours."""
        own = os.path.relpath(self._releases.root.parent.resolve(), self._source.resolve())
        return [name for name in files if own == "." or not name.startswith(f"{own}/")]

    async def _tracked(self) -> list[str]:
        """Return the files that git tracks in the source, and note how many others stay out."""
        listed = []
        for which in (["--cached"], ["--others", "--exclude-standard"]):
            argv = ("ls-files", "-z", *which)
            done = await try_git(self._job.context, self._source, *argv, errors="surrogateescape")
            if done.returncode != 0 or done.truncated:
                message = (
                    f"source: name the folder to publish: {self._source} is no git repository that tells what belongs "
                    "to it, and all of it would go out"
                )
                raise HandlerError(message, code="preflight")
            listed.append(self._foreign([name for name in done.stdout.split("\0") if name]))
        tracked, others = listed
        if others:
            self._job.facts["untracked"] = len(others)
        return sorted({name for name in tracked if _is_part(self._source / name, self._source)})


def _walk(folder: Path) -> list[str]:
    """Return all files, and the links that stay within. Raises HandlerError (`preflight`) for one that leads out."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _TOOLS and not _is_environment(Path(root, name))]
        for name in [*files, *(name for name in folders if os.path.islink(os.path.join(root, name)))]:
            path = Path(root, name)
            if _is_part(path, folder):
                found.append(path.relative_to(folder).as_posix())
    return sorted(found)


def _is_part(path: Path, folder: Path) -> bool:
    """Return whether it is a file or a link. Raises HandlerError (`preflight`) for a link that leads out."""
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise HandlerError(f"source: {shown(path)} leads out of {shown(folder)}", code="preflight")
    return path.is_symlink() or path.is_file()


def _is_environment(path: Path) -> bool:
    """Return whether it is a virtual environment of Python's, which works nowhere else."""
    return (path / "pyvenv.cfg").is_file()
