"""A small CLI with a screen of its own, which calls hooks as Claude Code was measured to: `python screen_cli.py`.

It takes prompts from its terminal (pasted or typed, and Enter), and obeys directives in them, one tool call each:
`[[write PATH TEXT]]`, `[[run COMMAND]]`, `[[say TEXT]]`, `[[slow SECONDS]]`, `[[fail WORDS]]`, `[[die]]`, `[[deaf]]`
(takes no prompt after this one). A line that begins with `/` is a command and no prompt. A tool that the hook wants
asked has a dialog: `y` or `n` in the terminal, or the other hook's answer, whichever is first. Esc ends the turn, of
which only its log tells. `--settings FILE` names the hooks, `--resume SESSION` goes on with a session, which must be
there; sessions are logs in the folder that SCREEN_CLI_HOME names. SCREEN_CLI_DIALOG: it asks something first.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
import tty
import uuid
from pathlib import Path
from typing import Any

DIRECTIVE = re.compile(r"\[\[(\w+)(?:\s+(.*?))?\]\]", re.DOTALL)
#: Its log of a session, as a CLI's description has it.
LOG = {
    "home": "SCREEN_CLI_HOME", "folder": ".", "files": ["{session}.log"], "asked": [{"type": "asked"}],
    "answered": {"type": "answer"}, "key": "id", "model": "model", "tokens_in": ["in"], "tokens_out": ["out"],
    "interrupted": [{"type": "interrupted"}],
}  # fmt: skip


class Interrupted(Exception):
    """Somebody pressed Esc, or said no in the dialog."""


class Cli:
    """One process of it."""

    def __init__(self, settings: str, resume: str | None) -> None:
        self.home = Path(os.environ["SCREEN_CLI_HOME"])
        self.hooks = json.loads(Path(settings).read_text())["hooks"]
        self.session = resume or str(uuid.uuid4())
        self.line, self.deaf, self.pasting = "", False, False
        self.queue: list[str] = []
        self.child: subprocess.Popen[str] | None = None

    def show(self, line: str) -> None:
        print(line.replace("\n", "\r\n"), end="\r\n", flush=True)

    def log(self, **entry: Any) -> None:
        with (self.home / f"{self.session}.log").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def hook(self, event: str, **said: Any) -> dict[str, Any]:
        """Call the hook, and return what it answers."""
        given = {"hook_event_name": event, "session_id": self.session, "cwd": os.getcwd(), **said}
        (hook,) = self.hooks[event][0]["hooks"]
        done = subprocess.run(
            ["sh", "-c", hook["command"]], input=json.dumps(given), capture_output=True, text=True, check=False
        )
        return json.loads(done.stdout) if done.stdout.strip() else {}

    # the terminal

    def keys(self, wait: float) -> bytes:
        return os.read(0, 65536) if select.select([0], [], [], wait)[0] else b""

    def typed(self, keys: bytes) -> list[str]:
        """Take keys into the line; returns the prompts that were said."""
        said = []
        for part in re.split(r"(\x1b\[20[01]~|\r|\x03|\x13|\x1b)", keys.decode("utf-8", "replace")):
            if part in ("\x1b[200~", "\x1b[201~"):
                self.pasting = part == "\x1b[200~"
            elif self.pasting:
                self.line += part
            elif part == "\r":
                said += [self.line] if self.line.strip() else []
                self.line = self.stashed if self.line.strip() else self.line
                self.stashed = "" if self.line else self.stashed
            elif part == "\x03":
                self.line = ""
            elif part == "\x13":
                self.line, self.stashed = "", self.line
            elif part != "\x1b":
                self.line += part
        return said

    stashed = ""

    def main(self) -> None:
        tty.setraw(0)
        sys.stdout.write("\x1b[?2004h")
        signal.signal(signal.SIGWINCH, lambda number, frame: self.show(f"size {os.get_terminal_size().lines}"))
        while os.environ.get("SCREEN_CLI_DIALOG") and self.keys(1.0) != b"y":
            self.show("Do you trust this folder? y")
        self.hook("SessionStart", source="startup")
        self.show(f"ready {os.get_terminal_size().lines}")
        while True:
            for prompt in self.queue or self.typed(self.keys(0.5)):
                self.queue = self.queue[1:]
                if not self.deaf:
                    self.prompt(prompt)

    def prompt(self, prompt: str) -> None:
        if prompt.lstrip().startswith("/"):
            self.show("a command")
            if prompt.startswith("/quit"):
                self.hook("SessionEnd", reason="prompt_input_exit")
                sys.exit(0)
            return
        if "decision" in self.hook("UserPromptSubmit", prompt=prompt):
            self.show("blocked")
            self.line = prompt
            return
        self.log(type="prompt", text=prompt)
        self.log(type="asked")
        self.show(f"> {prompt}")
        text = "Done."
        try:
            for number, (name, rest) in enumerate(DIRECTIVE.findall(prompt)):
                if name == "say":
                    text = rest
                elif name == "fail":
                    self.hook("StopFailure", error="server_error", last_assistant_message=rest)
                    return
                else:
                    self.step(f"c-{number}-{time.monotonic_ns()}", name, rest)
        except Interrupted:
            self.log(type="interrupted")
            self.show("Interrupted")
            return
        self.log(type="answer", id=str(uuid.uuid4()), model="m", **{"in": 100, "out": 10})
        self.show(text)
        self.hook("Stop", last_assistant_message=text)

    def step(self, call: str, name: str, rest: str) -> None:
        if name == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "deaf":
            self.deaf = True
        if name == "slow":
            self.wait(lambda: False, float(rest))
        path, _, content = rest.partition(" ")
        if name == "run":
            self.tool(call, "Bash", {"command": rest}, lambda: self.run(rest))
        elif name == "write":
            full = str(Path(path).absolute())
            self.tool(call, "Write", {"file_path": full, "content": content}, lambda: Path(full).write_text(content))

    def tool(self, call: str, tool: str, given: dict[str, Any], act: Any) -> None:
        """Use a tool as the hooks, or the dialog, allow."""
        self.log(type="answer", id=call, model="m", **{"in": 100, "out": 10})
        said = {"tool_name": tool, "tool_input": given}
        answer = self.hook("PreToolUse", **said, tool_use_id=call).get("hookSpecificOutput", {})
        decision = answer.get("permissionDecision", "ask")
        if decision == "deny" or (decision == "ask" and not self.dialog(said)):
            self.log(type="asked")
            return
        self.show(f"uses {tool}")
        act()
        self.log(type="asked")
        self.hook("PostToolUse", **said, tool_use_id=call, tool_response={"stdout": "ok"})

    def dialog(self, said: dict[str, Any]) -> bool:
        answers: list[dict[str, Any]] = []
        asking = threading.Thread(target=lambda: answers.append(self.hook("PermissionRequest", **said)), daemon=True)
        asking.start()
        self.show("Do you want to proceed? y n")
        # A hook that says nothing leaves it to the dialog.
        self.wait(lambda: any(answers) or self.line in ("y", "n"), 600)
        pressed, self.line = self.line, "" if self.line in ("y", "n") else self.line
        if pressed == "n":
            raise Interrupted
        return pressed == "y" or answers[0].get("hookSpecificOutput", {}).get("decision", {}).get("behavior") == "allow"

    def run(self, command: str) -> None:
        # Its shell has a session of its own, as Claude's.
        self.child = subprocess.Popen(
            ["sh", "-c", command], stdin=subprocess.DEVNULL, text=True, start_new_session=True
        )
        child = self.child
        try:
            self.wait(lambda: child.poll() is not None, 600)
        except Interrupted:
            os.killpg(child.pid, signal.SIGKILL)
            raise

    def wait(self, over: Any, seconds: float) -> None:
        """Wait, and take in what is typed meanwhile. Raises Interrupted."""
        until = time.monotonic() + seconds
        while not over() and time.monotonic() < until:
            keys = self.keys(0.02)
            if keys == b"\x1b":
                raise Interrupted
            self.queue += self.typed(keys)


def main(words: list[str]) -> None:
    given = dict(zip(words[::2], words[1::2], strict=True))
    resume = given.get("--resume")
    if resume is not None and not (Path(os.environ["SCREEN_CLI_HOME"]) / f"{resume}.log").exists():
        sys.exit("No conversation found")
    Cli(given["--settings"], resume).main()


if __name__ == "__main__":
    main(sys.argv[1:])
