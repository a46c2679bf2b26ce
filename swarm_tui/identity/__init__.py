"""The rules of who may order whom: a swarm's secret, its identities, and how each party proves and judges."""
