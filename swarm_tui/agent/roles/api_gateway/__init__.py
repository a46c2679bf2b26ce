"""The api-gateway role: the HTTP door."""
