"""The facts that the screen shows, without any drawing."""
