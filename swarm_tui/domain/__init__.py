"""Decisions of a swarm, as functions of state, event and `now`. Pure: no I/O, no clock."""
