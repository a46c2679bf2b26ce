"""The monitoring role: the flight recorder, and alerts."""
