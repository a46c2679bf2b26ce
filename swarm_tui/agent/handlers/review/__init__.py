"""code.review: what is wrong on a change's new lines."""
