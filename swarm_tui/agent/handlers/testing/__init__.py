"""testing.*: pytest, run and understood."""
