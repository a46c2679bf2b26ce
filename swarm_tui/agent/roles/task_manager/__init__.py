"""The task-manager role: leads the swarm's tasks."""
