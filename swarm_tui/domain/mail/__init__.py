"""Mail between agents and people, and claims on paths. Pure."""
