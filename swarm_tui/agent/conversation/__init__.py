"""A conversation with an AI agent's CLI: one that can be watched, asked, stopped, metered and resumed."""
