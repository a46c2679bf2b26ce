"""An agent CLI as data: how to talk to it by ACP, how to call it headless, and what its stream of events means."""

import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from swarm_tui.agent.conversation.spec import Acp, Interactive


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parts to take of an event that `when` fits: dotted paths, `*` for each item of a list.

    `text` is the answer (the last one counts; with `append` they are joined), `progress` says what it does, `tokens`
    (and `tokens_in`, `tokens_out`, `tokens_cached`) are added up, `cost` is US dollars, `error` is why it failed,
    `warning` why it may have, `refused` a list of uses of tools that were not allowed: `tool_name`, `tool_input`.
    """

    when: dict[str, Any]
    turn: bool = False
    text: str | None = None
    append: bool = False
    progress: list[str] = []
    tokens: list[str] = []
    tokens_in: list[str] = []
    tokens_out: list[str] = []
    tokens_cached: list[str] = []
    refused: str | None = None
    cost: str | None = None
    turns: str | None = None
    session: str | None = None
    error: str | None = None
    warning: str | None = None
    failed_if: dict[str, Any] = {}
    """Values that mean that it failed, whatever its exit status."""


class Cli(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program: `acp` is how it is talked to, what follows how it is called headless, without anybody to ask.

    In `argv` a lone {mode}, {model}, {max_turns}, {max_cost} stands for the arguments below, or none.

    The prompt comes on stdin, unless {prompt} stands in `argv`. `modes`: what it may do without asking anyone; a
    program that cannot be held to a mode does not offer it. `passed`: variables of the environment that it gets.
    """

    argv: list[str] = []
    modes: dict[str, list[str]] = {}
    acp: Acp | None = None
    interactive: Interactive | None = None
    """Its own full screen, for an entry that says `interactive: true`; None: no hooks of it tell enough."""
    stop: Literal["SIGTERM", "SIGINT"] = "SIGTERM"
    """The signal at which it ends in order."""
    events: list[Rule] = []
    model: list[str] = []
    max_turns: list[str] = []
    max_cost: list[str] = []
    exit_codes: dict[int, str] = {}
    passed: list[str] = []
    login_env: list[str] = []
    """Variables of which one is a login."""
    login_files: list[str] = []
    """Files of which one is there once somebody has logged in."""
    login: str = ""
    """Sentence that tells how one logs in."""
    install: str = ""

    def is_logged_in(self) -> bool:
        """Return whether it looks as if somebody had logged in: only a prompt would tell for sure."""
        if any(os.environ.get(name) for name in self.login_env):
            return True
        return any(Path(name).expanduser().exists() for name in self.login_files)


@cache
def known_clis() -> dict[str, Cli]:
    """Return the CLIs that are known without a word in the layout, by name."""
    import yaml  # An idle agent needs none of it.

    text = files("swarm_tui.agent.conversation").joinpath("clis.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), dict[str, Cli])
