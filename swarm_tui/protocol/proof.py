"""Proofs of who said a message: bytes in, bytes out. Pure.

A proof is the last member of a message's JSON object, `"proof": "<issuer> <verifier>=<mac> …"`. Each MAC covers the
topic and every byte before the proof, so that payload, id, time, incarnation and epoch stand as they were said.
HMAC and not signatures: a MAC costs a microsecond where Ed25519 costs a hundred, needs no library, and each verifier
has a key of its own, so that none of them can speak to another.
"""

import hmac
from binascii import b2a_base64
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

#: Issuer of what the swarm itself says, and verifier of what is said to it.
SWARM = "swarm"
#: Bytes of a MAC: 128 bits cannot be guessed, and a heartbeat stays short.
MAC_BYTES = 16
#: The longest proof that is looked at, in bytes: a MAC for each of some 200 hosts.
MAX_PROOF = 16 * 1024
_MARK = b',"proof":"'
#: Characters of a MAC.
_MAC_TEXT = 22
#: A block of SHA-256, and what HMAC mixes into the key for its two rounds.
_BLOCK = 64
#: Topics beyond it are nobody's of ours, and not kept in memory.
_LONGEST_KEPT = 512
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_INNER, _OUTER = (bytes(byte ^ mixed for byte in range(256)) for mixed in (0x36, 0x5C))


class Proof(NamedTuple):
    """A message's proof as it came: `macs` maps each verifier to its MAC; `signed` are the bytes that they cover."""

    issuer: str
    macs: dict[str, bytes]
    signed: bytes


def derive(key: bytes, *words: str) -> bytes:
    """Return the 32-byte key that follows from `key` for `words`: it tells nothing of `key`, nor of its siblings."""
    return hmac.digest(key, b"\0".join(word.encode() for word in words), "sha256")


def mac(key: bytes, purpose: str, topic: str, signed: bytes) -> bytes:
    """Return the MAC of a message under `key`, 22 characters of base64.

    `purpose` keeps an answer from passing as an order.
    """
    rounds = _rounds if len(topic) <= _LONGEST_KEPT else _rounds.__wrapped__
    inner, outer = rounds(key, purpose, topic)
    inner, outer = inner.copy(), outer.copy()
    inner.update(signed)
    outer.update(inner.digest())
    return b2a_base64(outer.digest()[:MAC_BYTES], newline=False)[:_MAC_TEXT].translate(_URL_SAFE)


@lru_cache(maxsize=4096)
def _rounds(key: bytes, purpose: str, topic: str) -> tuple[Any, Any]:
    """HMAC's two hashes once they have taken the key, and the first one what all messages of a topic begin with.

    `hmac.digest` takes the key anew, five times as long as the rest.
    """
    block = key.ljust(_BLOCK, b"\0")
    inner = sha256(block.translate(_INNER))
    inner.update(b"%b\0%b\0" % (purpose.encode(), topic.encode()))
    return inner, sha256(block.translate(_OUTER))


def attach(raw: bytes, issuer: str, macs: Iterable[tuple[str, bytes]]) -> bytes:
    """Return `raw`, a JSON object that is not empty, with its proof: (verifier, MAC) pairs of `signed_part(raw)`."""
    said = b" ".join([issuer.encode(), *(b"%b=%b" % (verifier.encode(), value) for verifier, value in macs)])
    return b'%b%b%b"}' % (raw[:-1], _MARK, said)


def stamp(raw: bytes, issuer: str, verifier: str, key: bytes, purpose: str, topic: str) -> bytes:
    """Return `raw` with a proof for one verifier, as most have it."""
    part = raw[:-1]
    return b'%b%b%b"}' % (part, _beginning(issuer, verifier), mac(key, purpose, topic, part))


@lru_cache(maxsize=4096)
def _beginning(issuer: str, verifier: str) -> bytes:
    """All of a proof before its only MAC; names are a party's own."""
    return b"%b%b %b=" % (_MARK, issuer.encode(), verifier.encode())


def signed_part(raw: bytes) -> bytes:
    """Return the bytes of an object without a proof that MACs cover: all but its last brace."""
    return raw[:-1]


def claimed(raw: bytes) -> str:
    """The issuer that a message names at its end, of a proof or of what looks like one; empty when it names none."""
    at = raw.rfind(_MARK, max(0, len(raw) - MAX_PROOF))
    return "" if at <= 0 else raw[at + len(_MARK) : raw.find(b" ", at) % len(raw)].decode("ascii", "replace")


def looks_proved(raw: bytes) -> bool:
    """Return whether a message ends in a proof, or in what looks like one."""
    return raw.rfind(_MARK, max(0, len(raw) - MAX_PROOF)) > 0


def split(raw: bytes) -> Proof | None:
    """Return the proof at the end of a message; None when there is none, or nothing that could be one."""
    at = raw.rfind(_MARK, max(0, len(raw) - MAX_PROOF))
    if at <= 0 or not raw.endswith(b'"}'):
        return None
    begins, value = at + len(_MARK), raw[-2 - _MAC_TEXT : -2]
    alone = _names(raw[begins : -2 - _MAC_TEXT]) if len(raw) - begins <= _LONGEST_KEPT else None
    if alone is not None and not _ends_text(value):
        return Proof(alone[0], {alone[1]: value}, raw[:at])
    said = raw[begins:-2]
    if _ends_text(said) or not said.isascii():
        return None
    issuer, *pairs = said.split(b" ")
    macs = {}
    for pair in pairs:
        verifier, _, value = pair.partition(b"=")
        if len(value) != _MAC_TEXT or not verifier:
            return None
        macs[verifier.decode()] = value
    return Proof(issuer.decode(), macs, raw[:at]) if macs and issuer else None


def _ends_text(said: bytes) -> bool:
    """Return whether JSON's text would end in it: what follows would be read as members that no MAC covers."""
    return b'"' in said or b"\\" in said


@lru_cache(maxsize=4096)
def _names(said: bytes) -> tuple[str, str] | None:
    """Return issuer and verifier of what stands before a proof's only MAC; None where that is something else."""
    if _ends_text(said) or not said.isascii():
        return None
    issuer, _, verifier = said.decode("ascii").partition(" ")
    alone = verifier[:-1]
    plain = issuer and alone and verifier.endswith("=") and "=" not in alone and " " not in alone
    return (issuer, alone) if plain else None


def holds(proof: Proof, verifier: str, key: bytes, purpose: str, topic: str) -> bool:
    """Return whether the proof's MAC for `verifier` is the one that `key` gives."""
    given = proof.macs.get(verifier)
    return given is not None and hmac.compare_digest(given, mac(key, purpose, topic, proof.signed))
