"""A small agent that speaks ACP and behaves as each real CLI was measured to: `python acp_agent.py NAME`.

It obeys directives in the prompt, one model turn each, as the real ones do against a scripted model server:
`[[write PATH TEXT]]`, `[[run COMMAND]]`, `[[say TEXT]]`, `[[slow SECONDS]]`, `[[status CODE]]`, `[[down]]`,
`[[limit WORDS]]` (told as the answer), `[[die]]`, `[[garbage]]`, `[[plan A; B]]`, `[[forget]]` (a bogus session),
`[[hang]]` (says nothing and heeds nothing but its end).
Sessions are files of the folder that `ACP_AGENT_HOME` names; every prompt is written there, as a server would see it,
and what it bills. `LOG` is how its own log of a session is read, which is killed with it.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

DIRECTIVE = re.compile(r"\[\[(\w+)(?:\s+(.*?))?\]\]", re.DOTALL)
#: What was measured, by CLI: docs/agents.md.
KINDS: dict[str, dict[str, Any]] = {
    "claude": {
        "modes": ["auto", "default", "plan"], "mode": "auto", "resume": True, "tells_cost": True, "usage": "prompt",
        "steering": True, "named": True,
    },
    "codex": {
        "modes": ["read-only", "workspace-write", "agent"], "mode": "agent",
        "resume": True, "usage": "prompt", "reject": "cancelled",
        "steering": True, "named": True,
        "suggests_unless": ("CODEX_ACP_PROMPT_SUGGESTIONS", "false"),
        "diff_in_ask": False, "errors_as_text": True, "child_outlives_cancel": True,
    },
    "gemini": {"modes": ["default", "yolo"], "mode": "default", "resume": False, "usage": "quota", "call_first": False,
               "steering": False,
               "hangs_while_asking": True},
    "opencode": {"modes": [], "mode": None,
        "resume": True, "usage": "last", "steering": False, "reject": "end_turn", "writes_by_fs": True,
        "titles_unless": ("OPENCODE_CONFIG_CONTENT", '{"agent": {"title": {"disable": true}}}')},
}  # fmt: skip
#: Its log of a session, as a CLI's description has it.
LOG = {
    "home": "ACP_AGENT_HOME", "folder": ".", "files": ["{session}.log"], "asked": [{"type": "asked"}],
    "answered": {"type": "answer"}, "key": "id", "model": "model", "tokens_in": ["in"], "tokens_out": ["out"],
}  # fmt: skip
#: Dollars that the server bills for each call of the model.
CALL = 0.001
ERRORS = {401: (-32000, "Authentication required"), 429: (-32603, "API Error: 429"), 529: (-32603, "529 Overloaded")}


class Agent:
    """One process of it."""

    def __init__(self, name: str) -> None:
        self.kind = KINDS[name]
        self.home = Path(os.environ.get("ACP_AGENT_HOME", "."))
        self.lock = threading.Lock()
        self.answers: dict[int, Any] = {}
        self.came = threading.Condition()
        self.next_id = 100
        self.cancelled = threading.Event()
        self.child: subprocess.Popen[bytes] | None = None
        self.folder = Path(".")
        self.session = ""
        self.mode = self.kind["mode"]
        self.cost = 0.0
        self.calls = 0
        self.steered: list[str] = []
        self.title = ""

    def send(self, message: dict[str, Any]) -> None:
        with self.lock:
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            sys.stdout.flush()

    def update(self, what: str, /, **more: Any) -> None:
        said = {"sessionId": self.session, "update": {"sessionUpdate": what, **more}}
        self.send({"method": "session/update", "params": said})

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        self.next_id += 1
        mine = self.next_id
        self.send({"id": mine, "method": method, "params": {"sessionId": self.session, **params}})
        with self.came:
            while mine not in self.answers:
                if self.cancelled.is_set() and not self.kind.get("hangs_while_asking"):
                    return {"outcome": {"outcome": "cancelled"}}
                self.came.wait(0.02)
            return self.answers.pop(mine)

    # the protocol

    def run(self) -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if "method" not in message:
                with self.came:
                    self.answers[message["id"]] = message.get("result", message.get("error"))
                    self.came.notify_all()
            elif message["method"] == "session/prompt":
                threading.Thread(target=self.prompt, args=(message,), daemon=True).start()
            else:
                self.serve(message)
        self.end_child()

    def serve(self, message: dict[str, Any]) -> None:
        method, params = message["method"], message.get("params") or {}
        if method == "session/cancel":
            self.cancelled.set()
            if not self.kind.get("child_outlives_cancel"):
                self.end_child()
            return
        handler = getattr(self, method.replace("/", "_"), None)
        if handler is None or (method == "_session/steering" and not self.kind["steering"]):
            self.send({"id": message["id"], "error": {"code": -32601, "message": "Method not found"}})
            return
        try:
            self.send({"id": message["id"], "result": handler(params)})
        except LookupError:
            self.send({"id": message["id"], "error": {"code": -32603, "message": "no such session"}})

    def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        able: dict[str, Any] = {"loadSession": True, "sessionCapabilities": {"close": {}}}
        if self.kind["resume"]:
            able["sessionCapabilities"]["resume"] = {}
        return {"protocolVersion": 1, "agentCapabilities": able}

    def _modes(self) -> dict[str, Any]:
        if not self.kind["modes"]:
            return {}
        return {"modes": {"currentModeId": self.mode, "availableModes": [{"id": one} for one in self.kind["modes"]]}}

    def session_new(self, params: dict[str, Any]) -> dict[str, Any]:
        self.session, self.folder = uuid.uuid4().hex, Path(params["cwd"])
        self.write_session({"cost": 0.0, "prompts": [], "done": []})
        (self.home / "servers.json").write_text(json.dumps(params["mcpServers"]))
        return {"sessionId": self.session, **self._modes()}

    def session_resume(self, params: dict[str, Any]) -> dict[str, Any]:
        file = self.home / f"{params['sessionId']}.json"
        if not file.exists():
            raise LookupError
        self.session, self.folder = params["sessionId"], Path(params["cwd"])
        # A process that was killed in its turn has told the next nothing of what that cost.
        self.cost = json.loads(file.read_text()).get("told", 0.0)
        return self._modes()

    def session_load(self, params: dict[str, Any]) -> dict[str, Any]:
        made = self.session_resume(params)
        for prompt in json.loads((self.home / f"{self.session}.json").read_text())["prompts"]:
            self.update("user_message_chunk", content={"type": "text", "text": prompt})
            self.update("agent_message_chunk", content={"type": "text", "text": "an answer of before"})
        return made

    def session_set_mode(self, params: dict[str, Any]) -> dict[str, Any]:
        self.mode = params["modeId"]
        return {}

    def session_set_config_option(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["value"] == "missing":
            raise LookupError
        return {}

    def _session_rename(self, params: dict[str, Any]) -> dict[str, Any]:
        if not self.kind.get("named"):
            raise LookupError
        self.title = params["title"]
        return {}

    def session_close(self, params: dict[str, Any]) -> dict[str, Any]:
        self.end_child()
        return {}

    def _session_steering(self, params: dict[str, Any]) -> dict[str, Any]:
        text = params["prompt"][0]["text"]
        self.keep(text)
        self.steered.append(text)
        return {"outcome": "injected"}

    def read_session(self) -> dict[str, Any]:
        known: dict[str, Any] = json.loads((self.home / f"{self.session}.json").read_text())
        return known

    def write_session(self, known: dict[str, Any]) -> None:
        """Whole or not at all: it may be killed at any moment."""
        new = self.home / f"{self.session}.new"
        new.write_text(json.dumps(known))
        new.replace(self.home / f"{self.session}.json")

    def keep(self, text: str) -> None:
        known = self.read_session()
        known["prompts"].append(text)
        self.write_session(known)

    def log(self, entry: dict[str, Any]) -> None:
        """A line in its own log of the session, as each of the real ones keeps one."""
        with (self.home / f"{self.session}.log").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def bill(self) -> None:
        """The server bills an answer as it gives it, whatever becomes of whoever asked."""
        self.log({"type": "asked"})
        self.cost += CALL
        known = self.read_session()
        self.write_session({**known, "cost": known["cost"] + CALL})
        self.log({"type": "answer", "id": uuid.uuid4().hex, "model": "m", "in": 100, "out": 10})
        if self.kind.get("tells_cost"):
            self.update("usage_update", used=1, size=2, cost={"amount": self.cost, "currency": "USD"})

    def bill_beside(self) -> None:
        """What it has its model do beside the conversation is in no log, and in no word of its own."""
        titles, suggests = self.kind.get("titles_unless"), self.kind.get("suggests_unless")
        calls = bool(suggests) and os.environ.get(suggests[0]) != suggests[1]
        if not self.title and (self.kind.get("named") or titles):
            calls += not titles or os.environ.get(titles[0]) != titles[1]
            self.title = "a title"
        if calls:
            known = self.read_session()
            self.write_session({**known, "beside": known.get("beside", 0) + calls})

    # a turn

    def prompt(self, message: dict[str, Any]) -> None:
        self.cancelled.clear()
        text = message["params"]["prompt"][0]["text"]
        self.keep(text)
        self.calls = 1
        try:
            answer = self.turn(text)
        except RuntimeError as error:
            code, words = ERRORS.get(int(str(error)), (-32603, f"API Error: {error}"))
            if self.kind.get("errors_as_text") and code != -32000:
                self.update("agent_message_chunk", content={"type": "text", "text": f"unexpected status {error}"})
                self.send({"id": message["id"], "result": {"stopReason": "end_turn"}})
            else:
                self.send({"id": message["id"], "error": {"code": code, "message": words}})
            return
        self.bill_beside()
        self.write_session({**self.read_session(), "told": self.cost})
        # Ended in a tool, it has not asked its model what comes after.
        self.calls -= answer == "cancelled" and self.calls > 1
        self.send({"id": message["id"], "result": {"stopReason": answer, **self.used()}})

    def used(self) -> dict[str, Any]:
        calls = self.calls
        if self.kind["usage"] == "quota":
            return {"_meta": {"quota": {"token_count": {"input_tokens": 100 * calls, "output_tokens": 10 * calls}}}}
        if self.kind["usage"] == "last":
            calls = 1
        return {"usage": {"inputTokens": 100 * calls, "outputTokens": 10 * calls, "totalTokens": 110 * calls}}

    def turn(self, text: str) -> str:
        steps = DIRECTIVE.findall(text)
        done: list[str] = self.read_session().get("done", [])
        if text.startswith("Your last turn was cut off"):
            # It looks at what is done already, as it is told to.
            steps = [step for step in steps if " ".join(step) not in done] or [("say", "It is done.")]
        while steps or self.steered:
            # A word said in the middle of the turn is what it does next.
            steps = [*(step for said in self.steered for step in DIRECTIVE.findall(said)), *steps]
            self.steered.clear()
            if not steps:
                break
            word, rest = steps.pop(0)
            if self.cancelled.is_set():
                return "cancelled"
            self.bill()
            stop = self.step(word, rest)
            if stop:
                return stop
            done.append(f"{word} {rest}")
            self.write_session({**self.read_session(), "done": done})
        return "cancelled" if self.cancelled.is_set() else "end_turn"

    def step(self, word: str, rest: str) -> str:
        if word == "say":
            for part in rest.split(" "):
                self.update("agent_message_chunk", content={"type": "text", "text": f"{part} "})
        elif word == "plan":
            entries = [{"content": one.strip(), "status": "pending", "priority": "low"} for one in rest.split(";")]
            self.update("plan", entries=entries)
        elif word == "slow":
            self.cancelled.wait(float(rest))
        elif word == "status":
            raise RuntimeError(rest)
        elif word == "note":
            Path(rest).write_text(str(time.time()))
        elif word == "limit":
            self.calls = 0
            self.update("agent_message_chunk", content={"type": "text", "text": rest})
            return "end_turn"
        elif word == "die":
            os._exit(3)
        elif word == "garbage":
            with self.lock:
                sys.stdout.write('no JSON\n[1, 2]\n{"jsonrpc": "2.0", "method": "session/update", "params": 7}\n')
                sys.stdout.write("\xff" * 200_000 + "\n")
        elif word == "hang":
            time.sleep(3600)
        elif word == "write":
            return self.write(*rest.split(" ", 1))
        elif word == "run":
            return self.shell(rest)
        return ""

    def permitted(self, call: dict[str, Any], diff: list[dict[str, Any]]) -> str:
        """Return "" when the client allows it, else how the turn goes on."""
        if self.kind.get("call_first", True):
            shown = {} if self.kind.get("diff_in_ask", True) else {"content": diff}
            self.update("tool_call", status="pending", **call, **shown)
        asked = {"toolCall": {**call, "content": diff if self.kind.get("diff_in_ask", True) else []}}
        options = [
            {"optionId": "yes-1", "kind": "allow_once", "name": "Allow"},
            {"optionId": "yes-2", "kind": "allow_always", "name": "Always"},
            {"optionId": "no", "kind": "reject_once", "name": "Reject"},
        ]
        answer = self.ask("session/request_permission", {**asked, "options": options})
        chosen = answer.get("outcome", {}).get("optionId")
        if self.cancelled.is_set():
            return "cancelled"
        if chosen == "yes-1":
            return ""
        if self.kind.get("call_first", True):
            self.update("tool_call_update", toolCallId=call["toolCallId"], status="failed")
        return self.kind.get("reject", "go on")

    def write(self, path: str, text: str) -> str:
        full = self.folder / path
        self.calls += 1
        call = {"toolCallId": uuid.uuid4().hex, "title": f"Write {path}", "kind": "edit",
                "rawInput": {"file_path": str(full), "content": text}}  # fmt: skip
        old = full.read_text() if full.exists() else None
        diff = [{"type": "diff", "path": str(full), "oldText": old, "newText": text}]
        refused = self.permitted(call, diff)
        if refused:
            return refused if refused != "go on" else ""
        if self.kind.get("writes_by_fs"):
            self.ask("fs/write_text_file", {"path": str(full), "content": text})
        else:
            try:
                full.write_text(text)
            except OSError as error:
                why = [{"type": "content", "content": {"type": "text", "text": str(error)}}]
                self.update("tool_call_update", toolCallId=call["toolCallId"], status="failed", content=why)
                return ""
        self.update("tool_call_update", status="completed", content=diff, **call)
        return ""

    def shell(self, command: str) -> str:
        self.calls += 1
        call = {"toolCallId": uuid.uuid4().hex, "title": f"`{command}`", "kind": "execute",
                "rawInput": {"command": command}}  # fmt: skip
        refused = self.permitted(call, [])
        if refused:
            return refused if refused != "go on" else ""
        self.child = subprocess.Popen(
            ["bash", "-c", command], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        child = self.child
        while child.poll() is None and not self.cancelled.is_set():
            time.sleep(0.01)
        if self.cancelled.is_set():
            return "cancelled"
        out = child.stdout.read().decode() if child.stdout is not None else ""
        status = "completed" if child.returncode == 0 else "failed"
        text = [{"type": "content", "content": {"type": "text", "text": out}}]
        self.update("tool_call_update", toolCallId=call["toolCallId"], status=status, content=text)
        return ""

    def end_child(self) -> None:
        if self.child is not None and self.child.poll() is None:
            os.killpg(self.child.pid, 9)


if __name__ == "__main__":
    Agent(sys.argv[1]).run()
