"""monitoring.*: probes and the alerts that stand."""
