"""The wire: names, topics, messages and the codec. Pure: no I/O, no clock."""
