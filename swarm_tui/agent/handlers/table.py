"""The handlers that come with swarm-tui: a task type, or a name for a layout's `use`, and the class that does it."""

#: Imported only when a task of the type comes.
BUILTIN: dict[str, str] = {
    "noop": "swarm_tui.agent.handlers.noop:Noop",
    "command": "swarm_tui.agent.handlers.command:Command",
    "testing.run": "swarm_tui.agent.handlers.pytest_run:Run",
    "testing.coverage": "swarm_tui.agent.handlers.pytest_coverage:Coverage",
    "agent-cli": "swarm_tui.agent.handlers.agent_cli:AgentCli",
    "llm": "swarm_tui.agent.handlers.llm:Llm",
    "code.generate": "swarm_tui.agent.handlers.generate:Generate",
    "code.review": "swarm_tui.agent.handlers.review:Review",
    "database.migrate": "swarm_tui.agent.handlers.migrate:Migrate",
    "database.backup": "swarm_tui.agent.handlers.backup:Backup",
    "deployment.deploy": "swarm_tui.agent.handlers.deploy:Deploy",
    "deployment.rollback": "swarm_tui.agent.handlers.deploy:Rollback",
    "security.scan": "swarm_tui.agent.handlers.security:Scan",
    "security.audit": "swarm_tui.agent.handlers.audit:Audit",
    "documentation.generate": "swarm_tui.agent.handlers.docs:Generate",
    "monitoring.health": "swarm_tui.agent.handlers.monitoring:Health",
    "monitoring.alerts": "swarm_tui.agent.handlers.monitoring:Alerts",
    "gateway.probe": "swarm_tui.agent.handlers.gateway:Probe",
}
