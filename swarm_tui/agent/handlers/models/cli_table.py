"""The agent CLIs that are known without a word in the layout, in their headless modes."""

from swarm_tui.agent.handlers.models.cli_spec import Cli, Rule

CLAUDE = Cli(
    argv=[
        "claude",
        "-p",
        "--output-format",
        "stream-json",
        "--verbose",
        "{mode}",
        "{model}",
        "{max_turns}",
        "{max_cost}",
    ],
    modes={"read": ["--permission-mode", "plan"], "edit": ["--permission-mode", "acceptEdits"]},
    model=["--model", "{model}"],
    max_turns=["--max-turns", "{max_turns}"],
    max_cost=["--max-budget-usd", "{max_cost}"],
    events=[
        Rule(when={"type": "system", "subtype": "init"}, session="session_id"),
        Rule(when={"type": "assistant"}, turn=True, progress=["message.content.*.text", "message.content.*.name"]),
        Rule(
            when={"type": "result"},
            text="result",
            cost="total_cost_usd",
            turns="num_turns",
            tokens=[
                *("usage.input_tokens", "usage.output_tokens"),
                *("usage.cache_creation_input_tokens", "usage.cache_read_input_tokens"),
            ],
        ),
        Rule(when={"type": "result", "is_error": True}, error="result", failed_if={"is_error": True}),
        Rule(when={"type": "result", "subtype": "error_max_turns"}, error="subtype"),
        Rule(when={"type": "result", "subtype": "error_max_budget_usd"}, error="subtype"),
        Rule(when={"type": "result", "subtype": "error_during_execution"}, error="subtype"),
    ],
    passed=[
        *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL"),
        *("CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR"),
    ],
    install="npm install --global @anthropic-ai/claude-code",
)

CODEX = Cli(
    argv=["codex", "exec", "--json", "--skip-git-repo-check", "{mode}", "{model}", "-"],
    modes={"read": ["--sandbox", "read-only"], "edit": ["--sandbox", "workspace-write"]},
    model=["--model", "{model}"],
    events=[
        Rule(when={"type": "thread.started"}, session="thread_id"),
        Rule(
            when={"type": "item.completed", "item.type": "agent_message"},
            text="item.text",
            progress=["item.text"],
            turn=True,
        ),
        Rule(when={"type": "item.started", "item.type": "command_execution"}, progress=["item.command"], turn=True),
        Rule(when={"type": "item.completed", "item.type": "file_change"}, progress=["item.changes.*.path"]),
        Rule(when={"type": "turn.completed"}, tokens=["usage.input_tokens", "usage.output_tokens"]),
        Rule(when={"type": "turn.failed"}, error="error.message"),
        Rule(when={"type": "error"}, warning="message"),
    ],
    passed=["OPENAI_API_KEY", "OPENAI_BASE_URL", "CODEX_API_KEY", "CODEX_HOME"],
    install="npm install --global @openai/codex",
)

GEMINI = Cli(
    argv=["gemini", "--output-format", "stream-json", "{mode}", "{model}"],
    # Where nobody can be asked, gemini takes a question for a no.
    modes={"read": ["--approval-mode", "default"], "edit": ["--approval-mode", "auto_edit"]},
    model=["--model", "{model}"],
    events=[
        Rule(when={"type": "init"}, session="session_id"),
        Rule(when={"type": "message", "role": "assistant"}, text="content", append=True, progress=["content"]),
        Rule(when={"type": "tool_use"}, progress=["tool_name"], turn=True),
        Rule(when={"type": "error"}, warning="message"),
        Rule(when={"type": "result"}, tokens=["stats.total_tokens"]),
        Rule(when={"type": "result", "status": "error"}, error="error.message", failed_if={"status": "error"}),
    ],
    exit_codes={42: "the prompt or an argument is not accepted", 53: "the turn limit is reached"},
    passed=[
        *("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"),
        *("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_APPLICATION_CREDENTIALS"),
    ],
    install="npm install --global @google/gemini-cli",
)

CLIS: dict[str, Cli] = {"claude": CLAUDE, "codex": CODEX, "gemini": GEMINI}
