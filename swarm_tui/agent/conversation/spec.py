"""An agent CLI that speaks ACP, as data: how it is started, which session mode asks, what it does differently."""

from typing import Literal

from msgspec import Struct


class Endpoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a CLI's model answers, so that we can look ourselves while it says nothing.

    `base` names variables that may hold the URL, `url` is it where none does; `path` is asked for, with `headers`, in
    which `{NAME}` stands for a variable: without that variable nothing is asked.
    """

    url: str
    path: str
    base: list[str] = []
    headers: dict[str, str] = {}


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
    session_cost: bool = False
    """It tells what its whole session has cost, also what a process of before took that was killed."""
    silent_errors: bool = False
    """A turn that failed may end as a good one: without usage, and with the error as its text."""
    endpoint: Endpoint | None = None
    tells_failures: bool = False
    """It tells of its retries, and of a turn's failure, once its client says that it understands that."""
    steering: bool = False
    """A word said in the middle of a turn reaches it then (`_session/steering`)."""
    logs_by_minute: bool = False
    """Its log of a session is named by the minute: one that is loaded in the minute of its beginning is overwritten."""
