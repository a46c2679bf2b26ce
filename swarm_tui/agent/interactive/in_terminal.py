"""Becomes a program that has the terminal on its stdin as its own: `python -I -S in_terminal.py PROGRAM ARGUMENT…`.

Run as a file, by whoever began a session; a program without a terminal of its own gets no signal of its size or keys.
"""

import fcntl
import posix
import sys
import termios

if __name__ == "__main__":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    posix.execv(sys.argv[1], sys.argv[1:])
