"""The handlers that come with swarm-tui: a task type, or a name for a layout's `use`, and the class that does it."""

#: Imported only when a task of the type comes.
BUILTIN: dict[str, str] = {
    "noop": "swarm_tui.agent.handlers.noop:Noop",
    "command": "swarm_tui.agent.handlers.command:Command",
    "testing.run": "swarm_tui.agent.handlers.testing.run:Run",
    "testing.coverage": "swarm_tui.agent.handlers.testing.coverage:Coverage",
    "agent-cli": "swarm_tui.agent.handlers.models.agent_cli:AgentCli",
    "llm": "swarm_tui.agent.handlers.models.llm:Llm",
    "code.generate": "swarm_tui.agent.handlers.models.generate:Generate",
    "code.review": "swarm_tui.agent.handlers.review.review:Review",
    "database.migrate": "swarm_tui.agent.handlers.database.migrate:Migrate",
    "database.backup": "swarm_tui.agent.handlers.database.backup:Backup",
    "deployment.deploy": "swarm_tui.agent.handlers.deployment.deploy:Deploy",
    "deployment.rollback": "swarm_tui.agent.handlers.deployment.deploy:Rollback",
    "security.scan": "swarm_tui.agent.handlers.security.scan:Scan",
    "security.audit": "swarm_tui.agent.handlers.security.audit:Audit",
    "documentation.generate": "swarm_tui.agent.handlers.docs.generate:Generate",
    "monitoring.health": "swarm_tui.agent.handlers.monitoring.health:Health",
    "monitoring.alerts": "swarm_tui.agent.handlers.monitoring.health:Alerts",
    "gateway.probe": "swarm_tui.agent.handlers.gateway:Probe",
}
