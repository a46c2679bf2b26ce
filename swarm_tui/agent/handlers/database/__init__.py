"""database.*: migrations on a copy first, backups proved by restoring."""
