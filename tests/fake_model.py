#!/usr/bin/env python3
"""A deterministic model server for tests of agent CLIs and model clients: no model, no network, no dependencies.

Speaks, on loopback only, whole and streamed (SSE):
  Anthropic   POST /v1/messages, /v1/messages/count_tokens, GET /v1/models
  OpenAI      POST /v1/responses, /v1/chat/completions, GET /v1/models (also without the /v1)
  Gemini      POST /v1beta/models/NAME:generateContent, :streamGenerateContent, :countTokens

Run
  python3 -m tests.fake_model --port 8099 [--log FILE]     --port 0 takes a free one; the first line of stdout says
                                                     `listening on http://127.0.0.1:PORT`

Point the CLIs at it (use a private HOME; the key may be anything except `bad`, which is answered with 401)
  claude    ANTHROPIC_BASE_URL=http://127.0.0.1:8099 ANTHROPIC_API_KEY=k
  codex     $CODEX_HOME/config.toml:  model = "fake"            (codex ignores OPENAI_BASE_URL)
                                      model_provider = "fake"
                                      [model_providers.fake]
                                      name = "fake"
                                      base_url = "http://127.0.0.1:8099/v1"
                                      wire_api = "responses"
                                      env_key = "OPENAI_API_KEY"
                                      supports_websockets = false
  gemini    GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:8099 GEMINI_API_KEY=k (or that URL in ~/.gemini/.env), and in
            ~/.gemini/settings.json {"security": {"auth": {"selectedType": "gemini-api-key"}}}: with the URL alone 0.61
            exits 41, and with 55 in a folder that is not trusted (--skip-trust, or GEMINI_CLI_TRUST_WORKSPACE=true)
  opencode  opencode.json: provider.fake = {npm: "@ai-sdk/openai-compatible", options: {baseURL: ".../v1", apiKey: "k"},
            models: {fake: {}}}, model: "fake/fake"

Script it: directives in the prompt, one model turn each, in the order in which they stand; what follows is "Done."
  [[write PATH TEXT]]     the model calls the CLI's tool that writes a file (relative PATH: in the CLI's folder)
  [[run COMMAND]]         it calls the CLI's shell
  [[loop N]]              N calls of the shell, a turn each (`echo 1` …)
  [[bad PATH]]            it calls a tool that does not exist, or with nonsense (a refused call)
  [[call TOOL {JSON}]]    it calls that tool (an MCP server's too) with those arguments
  [[say TEXT]]            the text of the final answer
  [[slow SECONDS]]        every answer begins only after that long (stream opened, nothing said)
  [[status CODE]]         every request of this prompt is answered with that HTTP status
  [[status CODE N]]       only the first N requests are (429 and 529 come with `retry-after: 1`)
  [[cut]]                 the connection is dropped in the middle of the answer
  [[usage IN OUT]]        the tokens that each answer claims (default 100, 10; Anthropic: +20 cache written, 50 read)
The server is stateless: which step is due is counted from the tool results in the conversation that the CLI sends.
(Only `[[status CODE N]]` counts, by the whole prompt: use a new prompt, or POST /_reset, for a second run.)

Example   echo -n 'please [[write a.txt hi]] [[run cat a.txt]] [[say All done.]]' | claude -p \\
            --output-format stream-json --verbose --permission-mode acceptEdits
            # 3 turns, 300 in / 30 out / 60 written / 150 read, "All done."
Tried with claude 2.1.197 and 2.1.332, codex 0.171.0, gemini 0.61.0, opencode 1.18.33, litellm 1.108.7 in front of it.
`unshare -n bash -c 'ip link set lo up; …'` keeps the CLIs, which call home, on loopback.
Model names work too, for what passes no prompt: a model called `missing…` is answered with 404.

Look at what came: GET /_log gives a JSON list, one item a request: {n, api, path, model, key, tools, stream, status,
step, directive, usage, headers}. POST /_reset empties it.
As a module: `with serve() as base: …` starts one in a thread and gives its base URL.
"""

import argparse
import contextlib
import json
import re
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.fake_answers import NAMESPACES, Turn, anthropic, chat, gemini, gemini_chunk, responses, whole

DIRECTIVE = re.compile(r"\[\[(write|run|call|ls|loop|bad|say|slow|status|cut|usage)(?:\s+(.*?))?\]\]", re.DOTALL)
CWD = re.compile(
    r"(?:working directory(?: is)?:?\s*|<cwd>|working in the (?:directory|following directories?):\s*(?:-\s*)?"
    r"|workspace directories:\**\s*(?:-\s*)?)"
    r"[`'\"]?(/[^\s<`'\"\\]+)",
    re.IGNORECASE,
)
#: Tool names by what they do, best first.
WRITERS = ("Write", "write_file", "write", "apply_patch")
SHELLS = ("Bash", "run_shell_command", "exec_command", "shell_command", "shell", "bash", "local_shell")


class Script:
    """What a prompt asks for."""

    def __init__(self, prompt: str) -> None:
        self.steps: list[tuple[str, str]] = []
        self.say, self.slow, self.status, self.times, self.cut = "Done.", 0.0, 0, None, False
        self.usage = (100, 10)
        for name, rest in DIRECTIVE.findall(prompt):
            rest = rest.strip()
            if name in ("write", "run", "bad", "call", "ls"):
                self.steps.append((name, rest))
            elif name == "loop":
                self.steps += [("run", f"echo {number}") for number in range(1, int(rest) + 1)]
            elif name == "say":
                self.say = rest
            elif name == "slow":
                self.slow = float(rest)
            elif name == "status":
                words = rest.split()
                self.status, self.times = int(words[0]), int(words[1]) if len(words) > 1 else None
            elif name == "cut":
                self.cut = True
            elif name == "usage":
                first, second = rest.split()
                self.usage = (int(first), int(second))


def plan(script: Script, done: int, tools: dict[str, dict], cwd: str) -> Turn:
    """The answer that is due after `done` tool results. `tools`: name to its JSON schema ({} for a freeform one)."""
    if not tools or done >= len(script.steps):
        return Turn(script.say)
    kind, rest = script.steps[done]
    if kind == "bad":
        return Turn("I try a tool that is not there.", "no_such_tool", {"path": rest})
    if kind == "call":
        name, _, args = rest.partition(" ")
        hit = next((one for one in tools if one == name or one.endswith(("__" + name, "_" + name))), None)
        if hit is None:
            return Turn(f"I have no {name} among {', '.join(sorted(tools))}.", None)
        return Turn(f"I call {hit}.", hit, json.loads(args or "{}"))
    if kind == "run":
        name = next((one for one in SHELLS if one in tools), None)
        if name is None:
            return Turn(f"I have no shell among {', '.join(sorted(tools))}. {script.say}")
        return Turn(f"I run {rest}.", name, _shell_args(name, tools[name], rest, cwd))
    path, _, text = rest.partition(" ")
    name = next((one for one in WRITERS if one in tools), None)
    whole = path if path.startswith("/") else f"{cwd}/{path}"
    if name is None:
        shell = next((one for one in SHELLS if one in tools), None)
        if shell is None:
            return Turn(f"I have no tool to write with among {', '.join(sorted(tools))}. {script.say}")
        # A CLI without a tool that writes has its own word for it in the shell: codex.
        patch = f"*** Begin Patch\n*** Add File: {path}\n" + "".join(f"+{one}\n" for one in text.split("\n"))
        command = f"apply_patch <<'EOF'\n{patch}*** End Patch\nEOF"
        return Turn(f"I write {path}.", shell, _shell_args(shell, tools[shell], command, cwd))
    if name == "apply_patch":
        patch = f"*** Begin Patch\n*** Add File: {path}\n" + "".join(f"+{one}\n" for one in text.split("\n"))
        patch += "*** End Patch\n"
        schema = tools[name]
        return Turn(f"I write {path}.", name, {"input": patch} if schema else patch, custom=not schema)
    known = set(tools[name].get("properties") or {})
    key = next((one for one in ("file_path", "filePath", "path") if one in known), "file_path")
    return Turn(f"I write {path}.", name, {key: whole, "content": text + "\n"})


def _shell_args(name: str, schema: dict, command: str, cwd: str) -> dict:
    known = schema.get("properties") or {}
    if "cmd" in known:
        return {"cmd": command}
    if (known.get("command") or {}).get("type") == "array":
        return {"command": ["bash", "-lc", command]}
    args = {"command": command}
    if "description" in known:
        args["description"] = "as the script says"
    return args


def _text(content) -> str:
    """All text in a message's content, of any of the protocols."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, (_text(one) for one in content)))
    if isinstance(content, dict):
        return _text(content.get("text") or content.get("content") or content.get("parts") or "")
    return ""


class Request:
    """What all the protocols have in common."""

    def __init__(self, api: str, body: dict, model: str, stream: bool) -> None:
        self.api, self.body, self.model, self.stream = api, body, model, stream
        reader = {
            "anthropic": self._anthropic,
            "responses": self._responses,
            "chat": self._chat,
            "gemini": self._gemini,
        }
        self.tools: dict[str, dict] = {}
        #: (role, text, number of tool results)
        self.turns: list[tuple[str, str, int]] = []
        self.system = ""
        reader[api]()
        self.prompt, self.done = "", 0
        for role, text, results in self.turns:
            if role == "user" and DIRECTIVE.search(text):
                self.prompt, self.done = text, 0
            else:
                self.done += results
        if not self.prompt:
            self.prompt = "\n".join(text for role, text, _ in self.turns if role == "user")
        found = CWD.findall(self.system + "\n" + "\n".join(text for _, text, _ in self.turns))
        self.cwd = found[-1].rstrip(".,") if found else "."

    def _anthropic(self) -> None:
        self.system = _text(self.body.get("system"))
        for tool in self.body.get("tools") or []:
            self.tools[tool.get("name", "?")] = tool.get("input_schema") or {}
        for message in self.body.get("messages") or []:
            content = message.get("content")
            parts = content if isinstance(content, list) else []
            results = sum(part.get("type") == "tool_result" for part in parts if isinstance(part, dict))
            said = [part for part in parts if isinstance(part, dict) and part.get("type") == "text"]
            self.turns.append((message.get("role", ""), _text(said if parts else content), results))

    def _responses(self) -> None:
        self.system = self.body.get("instructions") or ""
        for tool in self.body.get("tools") or []:
            if tool.get("type") in ("function", "custom", "local_shell"):
                self.tools[tool.get("name", tool["type"])] = tool.get("parameters") or {}
            elif tool.get("type") == "namespace":
                for one in tool.get("tools") or []:
                    full = tool["name"] + "__" + one["name"]
                    NAMESPACES[full] = (tool["name"], one["name"])
                    self.tools[full] = one.get("parameters") or {}
        given = self.body.get("input")
        for item in given if isinstance(given, list) else [{"role": "user", "content": given}]:
            if str(item.get("type", "")).endswith("_output"):
                self.turns.append(("tool", "", 1))
            elif "role" in item:
                self.turns.append((item["role"], _text(item.get("content")), 0))

    def _chat(self) -> None:
        for tool in self.body.get("tools") or []:
            function = tool.get("function") or {}
            self.tools[function.get("name", "?")] = function.get("parameters") or {}
        for message in self.body.get("messages") or []:
            if message.get("role") in ("system", "developer"):
                self.system += _text(message.get("content"))
            else:
                results = int(message.get("role") == "tool")
                self.turns.append((message.get("role", ""), "" if results else _text(message.get("content")), results))

    def _gemini(self) -> None:
        self.system = _text(self.body.get("systemInstruction") or "")
        for group in self.body.get("tools") or []:
            for tool in group.get("functionDeclarations") or []:
                self.tools[tool.get("name", "?")] = tool.get("parametersJsonSchema") or tool.get("parameters") or {}
        for message in self.body.get("contents") or []:
            parts = message.get("parts") or []
            results = sum("functionResponse" in part for part in parts)
            self.turns.append((message.get("role", "user"), _text(parts), results))


def _shaped(schema) -> object:
    """The least value that a JSON schema allows: what a side question (a classifier, a router) is answered with."""
    if not isinstance(schema, dict):
        return "ok"
    if schema.get("enum"):
        return schema["enum"][0]
    kind = str(schema.get("type", "string")).lower()
    if kind == "object":
        wanted = schema.get("required") or list(schema.get("properties") or {})
        return {name: _shaped((schema.get("properties") or {}).get(name)) for name in wanted}
    return {"array": [], "integer": 1, "number": 1, "boolean": False}.get(kind, "ok")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log: ClassVar[list[dict]] = []
    seen: ClassVar[Counter] = Counter()
    lock = threading.Lock()
    to = None

    def log_message(self, *_: object) -> None:
        pass

    # -- the doors

    def do_HEAD(self) -> None:
        self._json(200, {})

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/_log":
            with self.lock:
                return self._json(200, self.log)
        if path.endswith("/models"):
            models = [{"id": "fake", "object": "model", "type": "model", "display_name": "fake", "owned_by": "local"}]
            return self._json(200, {"object": "list", "data": models, "models": [], "has_more": False})
        if "/models/" in path:
            return self._json(200, {"id": path.rpartition("/")[2], "object": "model", "type": "model"})
        self._note({"api": "other", "path": path, "status": 200})
        return self._json(200, {})

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = urlsplit(self.path).path
        if path == "/_reset":
            with self.lock:
                self.log.clear()
                self.seen.clear()
            return self._json(200, {})
        try:
            body = json.loads(data or b"{}")
        except ValueError:
            body = {}
        if not isinstance(body, dict):
            body = {}
        try:
            self._route(path, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _route(self, path: str, body: dict) -> None:
        if path.endswith("/count_tokens"):
            return self._json(200, {"input_tokens": 100})
        if path.endswith(":countTokens"):
            return self._json(200, {"totalTokens": 100})
        if path.endswith("/messages"):
            request = Request("anthropic", body, str(body.get("model")), bool(body.get("stream")))
        elif path.endswith("/responses"):
            request = Request("responses", body, str(body.get("model")), bool(body.get("stream")))
        elif path.endswith("/chat/completions"):
            request = Request("chat", body, str(body.get("model")), bool(body.get("stream")))
        elif match := re.search(r"/models/([^/:]+):(stream)?[gG]enerateContent$", path):
            request = Request("gemini", body, match[1], bool(match[2]))
        else:
            self._note({"api": "other", "path": path, "status": 200})
            return self._json(200, {})
        return self._answer(path, request)

    # -- what they answer

    def _answer(self, path: str, request: Request) -> None:
        script = Script(request.prompt)
        bare = self.headers.get("authorization", "").removeprefix("Bearer ")
        key = self.headers.get("x-api-key") or self.headers.get("x-goog-api-key") or bare
        key = key or (parse_qs(urlsplit(self.path).query).get("key") or [""])[0]
        with self.lock:
            self.seen[request.prompt] += 1
            nth = self.seen[request.prompt]
        status = 0
        if key == "bad":
            status = 401
        elif request.model.startswith("missing"):
            status = 404
        elif script.status and (script.times is None or nth <= script.times):
            status = script.status
        turn = plan(script, request.done, request.tools, request.cwd)
        if not request.tools and (schema := self._wanted_shape(request)):
            turn = Turn(json.dumps(_shaped(schema)))
        note = {"api": request.api, "path": path, "model": request.model, "key": key[:12]}
        note |= {"tools": sorted(request.tools), "stream": request.stream, "status": status or 200, "cwd": request.cwd}
        note |= {"step": request.done, "directive": turn.tool or "say", "args": turn.args, "usage": script.usage}
        note |= {
            "rawtools": [
                (t.get("type"), t.get("name"), [x.get("name") for x in t.get("tools") or []])
                for t in request.body.get("tools") or []
                if isinstance(t, dict)
            ]
        }
        note |= {"turns": [(r, t[-160:], n) for r, t, n in request.turns][-14:], "nturns": len(request.turns)}
        note |= {"prompt": request.prompt[-200:], "headers": dict(self.headers)}
        self._note(note)
        if status:
            return self._error(request.api, status, request.model)
        if request.api == "gemini" and not request.stream:
            time.sleep(script.slow)
            return self._json(200, gemini_chunk(turn, script.usage, request.model, last=True))
        events = list(
            {"anthropic": anthropic, "responses": responses, "chat": chat, "gemini": gemini}[request.api](
                turn, script.usage, request.model
            )
        )
        if not request.stream:
            time.sleep(script.slow)
            return self._json(200, whole(request.api, turn, script.usage, request.model))
        return self._stream(events, script)

    @staticmethod
    def _wanted_shape(request: Request) -> object:
        body = request.body
        config = body.get("generationConfig") or {}
        form = (body.get("output_config") or {}).get("format") or (body.get("text") or {}).get("format") or {}
        form = form or (body.get("response_format") or {}).get("json_schema") or {}
        return config.get("responseJsonSchema") or config.get("responseSchema") or form.get("schema")

    def _stream(self, events: list[tuple[str | None, object]], script: Script) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("request-id", "req_" + uuid.uuid4().hex[:16])
        self.end_headers()
        self.wfile.flush()
        end = time.monotonic() + script.slow
        while time.monotonic() < end:
            time.sleep(min(0.5, max(0.0, end - time.monotonic())))
            self._chunk(b": still thinking\n\n")
        for number, (name, data) in enumerate(events):
            if script.cut and number >= len(events) // 2:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            text = data if isinstance(data, str) else json.dumps(data)
            self._chunk((f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode())
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _error(self, api: str, status: int, model: str) -> None:
        kind = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error"}
        kind |= {404: "not_found_error", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}
        word, said = kind.get(status, "api_error"), f"the fake model server answers {status} for {model}"
        if api == "anthropic":
            body = {"type": "error", "error": {"type": word, "message": said}}
        elif api == "gemini":
            body = {"error": {"code": status, "message": said, "status": word.upper()}}
        else:
            body = {"error": {"message": said, "type": word, "code": word, "param": None}}
        self._json(status, body, {"retry-after": "1"} if status in (429, 503, 529) else {})

    def _json(self, status: int, body: object, headers: "dict[str, str] | None" = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _note(self, what: dict) -> None:
        with self.lock:
            what = {"n": len(self.log) + 1, "at": round(time.time(), 2), **what}
            self.log.append(what)
        if self.to is not None:
            self.to.write(json.dumps(what) + "\n")
            self.to.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError | BrokenPipeError | OSError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def serve(port: int = 0):
    """A server in a thread; gives its base URL."""
    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--log", help="a file that gets one JSON line a request")
    args = parser.parse_args()
    if args.log:
        Handler.to = open(args.log, "a")  # noqa: SIM115 - for as long as it runs
    server = Server(("127.0.0.1", args.port), Handler)
    print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
