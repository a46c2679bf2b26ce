"""Keys and typed lines on their way to an act."""
