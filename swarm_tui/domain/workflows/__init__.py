"""Workflows and their runs: what a file says, what is wrong with it, and what follows from the end of a step."""
