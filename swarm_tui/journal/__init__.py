"""Journals on disk: the dispatcher's tasks and outbox, the flight recorder, and the results that outgrow a message."""
