"""Who may order whom: the swarm's secret, the identities derived from it, and how each party proves and judges."""
