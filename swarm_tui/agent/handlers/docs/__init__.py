"""documentation.generate: outline, coverage, links."""
