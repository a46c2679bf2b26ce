"""Theme, glyphs and text: how facts are drawn, without any widget."""
