"""An agent CLI as data: how ACP is spoken with it, and its own full screen, of which its hooks tell."""

from typing import Any, Literal

from msgspec import Struct

PROTOCOL = 1


class Endpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a CLI's model answers, so that we can look ourselves while it says nothing.

    `base` names variables that may hold the URL, `url` is it where none does; `path` is asked for, with `headers`, in
    which `{NAME}` stands for a variable: without that variable nothing is asked.
    """

    url: str
    path: str
    base: list[str] = []
    headers: dict[str, str] = {}


class SessionLog(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a CLI itself writes down what a session's model calls took, killed processes' too, and how that reads.

    `files` are patterns below the folder that the variable `home` names, else below `folder` of the user's home:
    `{session}` is the session's name, `{session:8}` its beginning. Each line is a JSON object; of a SQLite file `query`
    gives rows of a key and a JSON object, for one session. `answered` fits the entry that tells what a call took, which
    `key` names; an entry of `asked` says that a call is under way.
    """

    files: list[str]
    folder: str
    home: str = ""
    query: str = ""
    asked: list[dict[str, Any]] = []
    answered: dict[str, Any]
    key: str
    model: str = ""
    tokens_in: list[str]
    tokens_out: list[str]
    tokens_cached: list[str] = []
    """Of those in, the ones that a cache had."""
    empty_first: bool = False
    """An entry of `answered` that tells of no tokens is a call that is under way."""
    lags: bool = False
    """Its last moment may not be written: calls whose tools were heard of are counted against it."""
    interrupted: list[dict[str, Any]] = []
    """Entries by which it says that a person ended the turn, of which no hook tells."""


class Acp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The CLI as a partner in the Agent Client Protocol. Differences were measured: see docs/agents.md."""

    argv: list[str]
    install: str = ""
    session_mode: str | None = None
    """The mode in which it asks before it acts; set at once, for some decide by themselves otherwise."""
    session_modes: dict[str, str] = {}
    """The same by our mode (read, edit), for a CLI whose asking mode can do nothing but read."""
    model: str | None = None
    """The config option by which its model is chosen; None: it takes none."""
    env: dict[str, str] = {}
    """Variables that it always gets."""
    usage: Literal["prompt", "last-call", "quota"] = "prompt"
    """The prompt's answer tells the usage of this prompt, or of its last model call only, or Google's own counts."""
    silent_errors: bool = False
    """A turn that failed may end as a good one: without usage, and with the error as its text."""
    endpoint: Endpoint | None = None
    tells_failures: bool = False
    """It tells of its retries, and of a turn's failure, once its client says that it understands that."""
    beside: str = ""
    """Words for its calls of the model beside the conversation that it tells nowhere, unless a model is named."""
    named: bool = False
    """It takes a name for its session (`_session/rename`), and then pays its model for none."""
    steering: bool = False
    """A word said in the middle of a turn reaches it then (`_session/steering`)."""
    logs_by_minute: bool = False
    """Its log of a session is named by the minute: one that is loaded in the minute of its beginning is overwritten."""
    log: SessionLog | None = None
    """Description of its own log of a session; None: it keeps none that can be read."""

    def client(self) -> dict[str, Any]:
        """Return how a client of it introduces itself, with what it must say beside the protocol to be told all."""
        able = [*(["sessionFailure"] if self.tells_failures else []), *(["sessionIndex"] if self.named else [])]
        air = {"_meta": {"jetbrains": {"air": {"version": 1, "capabilities": able}}}} if able else {}
        # It works on the files itself; and a terminal of ours would hide its shell's children from it.
        files = {"readTextFile": False, "writeTextFile": False}
        return {
            "protocolVersion": PROTOCOL,
            "clientCapabilities": {"fs": files, "terminal": False, **air},
            "clientInfo": {"name": "swarm-tui", "version": "1"},
        }


class Hook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event that a CLI's hook tells: what it means, and the JSON that answers it, with `{reason}` filled in.

    `tool` comes before a tool is used, and is answered by the rules; `ask` when the CLI's own dialog stands, and is
    answered by people. `failed` ends a turn as `done` does. `refuse` answers a prompt that is not to be said.
    """

    means: Literal["begun", "prompt", "tool", "ask", "tool-done", "tool-failed", "done", "failed", "gone"]
    allow: dict[str, Any] | None = None
    deny: dict[str, Any] | None = None
    ask: dict[str, Any] | None = None
    refuse: dict[str, Any] | None = None


class Interactive(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The CLI's own full screen, as it runs in an agent's pane; its hooks tell its state. Measured: docs/agents.md.

    In `argv` a lone {resume} and {model} stand for the arguments below, or none, and `{settings}` for the file in which
    its hooks are. What its events hold is named by dotted paths: `session`, `prompt`, `tool`, `input`, `call`, `text`,
    `error`, `output`.
    """

    argv: list[str]
    resume: list[str]
    model: list[str] = []
    env: dict[str, str] = {}
    hooks: dict[str, Hook]
    kinds: dict[str, str] = {}
    """ACP's kind of each of its tools, by the tool's name."""
    session: str = "session_id"
    prompt: str = "prompt"
    tool: str = "tool_name"
    input: str = "tool_input"
    call: str = "tool_use_id"
    text: str = "last_assistant_message"
    error: str = "error"
    output: list[str] = []
    special: str = ""
    """Characters with which a prompt would be something else than text, were they its first."""
    submit: str = "\r"
    interrupt: str = "\x1b"
    """The key that ends a turn."""
    clear: str = "\x03"
    """The key that empties the line in which prompts are written."""
    stash: str = ""
    """The key that puts away what is written there until the next prompt is said; empty: it has none."""
    begun_within: float = 20.0
    """Seconds from its start after which it waits for a person, if no hook has said that its session has begun."""


def find(event: Any, path: str) -> list[Any]:
    """Return all values at a dotted `path` of an event; `*` is each item of a list."""
    values = [event]
    for part in path.split("."):
        found: list[Any] = []
        for value in values:
            if part == "*" and isinstance(value, list):
                found += value
            elif isinstance(value, dict) and part in value:
                found.append(value[part])
        values = found
    return values


def fits(event: Any, when: dict[str, Any]) -> bool:
    """Return whether each path of `when` holds its value in the event."""
    return all(value in find(event, path) for path, value in when.items())
