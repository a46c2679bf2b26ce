"""Work that models do: agent CLIs, endpoints, code in a worktree of its own."""
