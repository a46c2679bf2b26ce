"""Proofs of who said a message: bytes in, bytes out. Pure.

A proof is the last member of a message's JSON object, `"proof": "<issuer> <verifier>=<mac> …"`. Each MAC covers the
topic and every byte before the proof, so that payload, id, time, incarnation and epoch stand as they were said.
HMAC and not signatures: a MAC costs a microsecond where Ed25519 costs a hundred, needs no library, and each verifier
has a key of its own, so that none of them can speak to another.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import NamedTuple

#: Bytes of a MAC: 128 bits cannot be guessed, and a heartbeat stays short.
MAC_BYTES = 16
#: The longest proof that is looked at, in bytes: a MAC for each of some 200 hosts.
MAX_PROOF = 16 * 1024
_MARK = b',"proof":"'
#: An issuer, and at least one verifier with its MAC. Nothing else may stand there: a quote would end the proof's text,
#: and what follows it be read as members that no MAC covers.
_SAID = re.compile(rb"[A-Za-z0-9_.:@-]+(?: [A-Za-z0-9_.@-]+=[A-Za-z0-9_-]{22})+")


class Proof(NamedTuple):
    """A message's proof as it came: `macs` maps each verifier to its MAC; `signed` are the bytes that they cover."""

    issuer: str
    macs: dict[str, str]
    signed: bytes


def derive(key: bytes, *words: str) -> bytes:
    """Return the 32-byte key that follows from `key` for `words`: it tells nothing of `key`, nor of its siblings."""
    return hmac.digest(key, b"\0".join(word.encode() for word in words), "sha256")


def mac(key: bytes, purpose: str, topic: str, signed: bytes) -> str:
    """Return the MAC of a message under `key`, 22 characters of base64.

    `purpose` keeps an answer from passing as an order.
    """
    whole = hmac.digest(key, b"%b\0%b\0%b" % (purpose.encode(), topic.encode(), signed), "sha256")
    return urlsafe_b64encode(whole[:MAC_BYTES]).rstrip(b"=").decode()


def attach(raw: bytes, issuer: str, macs: Iterable[tuple[str, str]]) -> bytes:
    """Return `raw`, a JSON object that is not empty, with its proof: (verifier, MAC) pairs of `signed_part(raw)`."""
    said = " ".join([issuer, *(f"{verifier}={value}" for verifier, value in macs)])
    return b'%b%b%b"}' % (raw[:-1], _MARK, said.encode())


def signed_part(raw: bytes) -> bytes:
    """Return the bytes of an object without a proof that MACs cover: all but its last brace."""
    return raw[:-1]


def claimed(raw: bytes) -> str:
    """The issuer that a message names at its end, of a proof or of what looks like one; empty when it names none."""
    at = raw.rfind(_MARK, max(0, len(raw) - MAX_PROOF))
    return "" if at <= 0 else raw[at + len(_MARK) : raw.find(b" ", at) % len(raw)].decode("ascii", "replace")


def split(raw: bytes) -> Proof | None:
    """Return the proof at the end of a message; None when there is none, or nothing that could be one."""
    at = raw.rfind(_MARK, max(0, len(raw) - MAX_PROOF))
    if at <= 0 or not raw.endswith(b'"}'):
        return None
    said = raw[at + len(_MARK) : -2]
    if _SAID.fullmatch(said) is None:
        return None
    issuer, *pairs = said.decode("ascii").split(" ")
    return Proof(issuer, dict(pair.split("=") for pair in pairs), raw[:at])


def holds(proof: Proof, verifier: str, key: bytes, purpose: str, topic: str) -> bool:
    """Return whether the proof's MAC for `verifier` is the one that `key` gives."""
    given = proof.macs.get(verifier)
    return given is not None and hmac.compare_digest(given, mac(key, purpose, topic, proof.signed))
