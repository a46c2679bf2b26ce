"""Asks git from outside of any task: bounded in time and in what it may say, under the same settings as within one.

Where a sandbox held whoever wrote to a worktree, git is asked in one too: a filter or a submodule of theirs has git run
a program of their choice.
"""

import os
import select
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryFile

from msgspec import Struct

from swarm_tui.config.sandbox import Sandbox, why_not
from swarm_tui.worktrees.git_settings import LISTING, QUIET, SET, read_settings

#: Seconds that one call may take, and bytes that it may answer.
LONGEST, LARGEST = 60.0, 64_000_000
_PASSED = ("PATH", "HOME", "TMPDIR", "LANG", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK")


class GitError(Exception):
    """A failure of git, told in a sentence."""


class Said(Struct, frozen=True):
    """An answer of git's. `cut`: it was longer than was asked for."""

    code: int
    text: str
    error: str
    cut: bool = False


class Git:
    """Git in one folder. Not for use by several threads at once."""

    def __init__(self, folder: Path, state_dir: Path, *, sandboxed: bool = False, **variables: str) -> None:
        """Read the settings of the folder; `variables` are further ones of git's. Raises GitError."""
        self.folder = folder
        self._sandbox = Sandbox(state=state_dir) if sandboxed else None
        if sandboxed and (why := why_not()):
            raise GitError(f"{folder} was written to in a sandbox, and is read in one alone: {why}")
        self._env = {name: os.environ[name] for name in _PASSED if name in os.environ}
        listing = self._run(["git", *LISTING], LARGEST)
        known = read_settings(listing.text if not listing.code and not listing.cut else "", state_dir)
        self._env |= {**QUIET, **known.env, "GIT_CONFIG_GLOBAL": str(known.file), **variables}

    def ask(self, *argv: str, most: int = LARGEST) -> Said:
        """Return what git says, at most `most` bytes of it, whatever its status. Raises GitError where it does not."""
        return self._run(["git", *SET, *argv], most)

    def __call__(self, *argv: str) -> str:
        """Return what git prints. Raises GitError where it fails."""
        said = self.ask(*argv)
        if said.code:
            words = said.error.strip().splitlines()
            raise GitError(f"git {argv[0]} failed in {self.folder}: {words[-1] if words else f'exit {said.code}'}")
        return said.text

    def name(self, *argv: str) -> str:
        """Return the one line that git prints; empty where it fails."""
        said = self.ask(*argv)
        return "" if said.code else said.text.strip()

    def _run(self, argv: list[str], most: int) -> Said:
        if self._sandbox is not None:
            argv = self._sandbox.around(argv, None, self.folder)
        with TemporaryFile() as errors:
            try:
                program = subprocess.Popen(
                    argv,
                    cwd=self.folder,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                )
            except FileNotFoundError:
                missing = "git is not installed" if self.folder.is_dir() else f"{self.folder} is gone"
                raise GitError(missing) from None
            except OSError as error:
                raise GitError(f"git does not start in {self.folder}: {error}") from None
            with program:
                data = self._answer(program, most + 1)
                cut = len(data) > most
                if cut:
                    program.kill()
            errors.seek(0)
            error_text = errors.read(10_000).decode("utf-8", "replace")
        code = 0 if cut else program.returncode
        return Said(code, data[:most].decode("utf-8", "surrogateescape"), error_text, cut)

    def _answer(self, program: "subprocess.Popen[bytes]", most: int) -> bytes:
        """Read at most so many bytes of what it prints. Raises GitError where it is silent for too long."""
        assert program.stdout is not None
        end, data = time.monotonic() + LONGEST, bytearray()
        while len(data) < most:
            ready, _, _ = select.select([program.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                program.kill()
                raise GitError(f"git took longer than {LONGEST:g} s in {self.folder}")
            part = os.read(program.stdout.fileno(), min(1 << 20, most - len(data)))
            if not part:
                break
            data += part
        return bytes(data)
