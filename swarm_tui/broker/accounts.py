"""Tell mosquitto its users: a file of passwords and a file of rules, put together from each swarm's part."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import pbkdf2_hmac, sha256

from swarm_tui.config.own_broker import Admission

#: Rounds of a password that a person chose. Those derived from a key have 256 bits, which no rounds make safer.
CHOSEN_ROUNDS = 2_000
_SALT, _HASH = 12, 64


def hashed(user: str, password: str, *, rounds: int = 1) -> str:
    """Return the password as mosquitto 2 keeps it. One user's same password gives the same text."""
    salt = sha256(f"{user}\0{password}".encode()).digest()[:_SALT]
    found = pbkdf2_hmac("sha512", password.encode(), salt, rounds, _HASH)
    return f"$7${rounds}${b64encode(salt).decode()}${b64encode(found).decode()}"


def passwords(admissions: Sequence[Admission]) -> str:
    """Return mosquitto's `password_file`."""
    return "".join(f"{name}:{one.password}\n" for part in admissions for name, one in part.users.items())


def rules(admissions: Sequence[Admission]) -> str:
    """Return mosquitto's `acl_file`: what clients without a name may do first, then each user."""
    lines = [line for part in admissions for line in part.guests]
    for part in admissions:
        for name, one in part.users.items():
            lines += ["", f"user {name}", *one.rules]
    return "\n".join([*lines, ""])
