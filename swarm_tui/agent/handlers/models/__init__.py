"""What a model does: agent CLIs, endpoints, code in a worktree of its own."""
