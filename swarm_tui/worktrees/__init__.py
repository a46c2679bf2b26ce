"""Git worktrees of tasks: where each is, and what was changed in it."""
