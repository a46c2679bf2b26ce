"""security.*: holes, secrets, dependencies."""
