"""The command line as a person runs it: real processes, private folders, a tmux server of the test's own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NINE = (
    "task-manager",
    "code-review",
    "deployment",
    "testing",
    "security",
    "docs",
    "monitoring",
    "database",
    "api-gateway",
)


class Shell:
    """Runs `swarm-tui` in `cwd`."""

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd
        self.env = dict(os.environ)

    def __call__(
        self, *words: str, limit: float = 60.0, stdin: str = "", **env: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "swarm_tui", *words],
            cwd=self.cwd,
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )

    def ok(self, *words: str, **options: Any) -> str:
        """Its stdout; it must end with 0."""
        done = self(*words, **options)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *words: str, **options: Any) -> Any:
        """Its stdout, read as JSON."""
        return json.loads(self.ok(*words, "--json", **options))


@contextmanager
def watching(shell: Shell, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """`swarm-tui watch`, connected; ended with SIGINT at the latest at the end."""
    # A shell's background job ignores SIGINT, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "swarm_tui", "watch", *words],
        cwd=shell.cwd, env=shell.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert "connected" in process.stderr.readline()
        yield process
    finally:
        signal.signal(signal.SIGINT, before)
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def nine(swarm: str, port: int, socket: str, api_port: int) -> str:
    """A layout like the shipped one, on ports and a tmux server of the test's own."""
    extra = {
        "testing": ", handlers: {noop: {}}",
        "api-gateway": f", env: {{SWARM_HTTP_PORT: '{api_port}'}}",
    }
    agents = "".join(f"  - {{role: {role}, id: {role}-01{extra.get(role, '')}}}\n" for role in NINE)
    return (
        f"swarm: {swarm}\nsession: {swarm}\nbroker: {{url: 'mqtt://127.0.0.1:{port}'}}\n"
        f"tmux: {{socket: {socket}}}\nagents:\n{agents}"
    )
