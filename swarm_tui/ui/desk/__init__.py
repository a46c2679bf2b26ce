"""The desk: what acts, screens and widgets may use of the running screen, and the acts' own shapes."""
