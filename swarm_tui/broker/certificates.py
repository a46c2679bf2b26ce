"""Certificates of an embedded broker that speaks TLS: an authority of this host's own, and the broker's certificate.

`cryptography` makes them (the extra `secure`): a broker without openssl's command line has them too, and the dates of
what is made are arguments.
"""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from swarm_tui.config.files import write_private

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

INSTALL = "`secure: true` needs cryptography: run `pip install 'swarm-tui[secure]'`"
#: Days that the authority and a certificate are good for, and with how many left they are made anew.
AUTHORITY_DAYS, AUTHORITY_LEFT = 3650, 365
SERVER_DAYS, SERVER_LEFT = 90, 30
#: A certificate is good a little before it was made: the clocks of two hosts differ.
_SKEW = timedelta(hours=1)


class CertificatesError(Exception):
    """No certificates can be made here; the text says what to do."""


class Certificates:
    """The files of an authority and of a broker's certificate in `folder` (0700), keys 0600."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = folder / "ca.pem"
        self.certificate = folder / "server.pem"
        self.key = folder / "server.key"
        self._authority_key = folder / "ca.key"

    def ensure(self, names: Sequence[str], now: datetime) -> bool:
        """Make what is missing, ends soon or lacks one of `names` (hosts and addresses); whether something was made.

        Raises CertificatesError where `cryptography` is missing, OSError.
        """
        _check_library()
        made = self._ensure_authority(now)
        if made or not self._is_good(names, now):
            self._make_certificate(names, now)
            made = True
        return made

    def ends(self) -> tuple[datetime, datetime] | None:
        """Return when authority and certificate end; None where there are none to read."""
        found = _load(self.authority), _load(self.certificate)
        if found[0] is None or found[1] is None:
            return None
        return found[0].not_valid_after_utc, found[1].not_valid_after_utc

    def _ensure_authority(self, now: datetime) -> bool:
        found = _load(self.authority)
        if found is not None and _belongs(_load_key(self._authority_key), found):
            left = found.not_valid_after_utc - now
            if left > timedelta(days=AUTHORITY_LEFT):
                return False
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "swarm-tui, this host's own authority")])
        usage = _usage(key_cert_sign=True, crl_sign=True)
        made = (
            _builder(name, name, key, now, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        _write(self._authority_key, key)
        _write(self.authority, _signed(made, key))
        return True

    def _is_good(self, names: Sequence[str], now: datetime) -> bool:
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature

        found, authority = _load(self.certificate), _load(self.authority)
        if found is None or authority is None or not _belongs(_load_key(self.key), found):
            return False
        try:
            found.verify_directly_issued_by(authority)
            said = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        there = {*said.get_values_for_type(x509.DNSName)}
        there |= {str(one) for one in said.get_values_for_type(x509.IPAddress)}
        return set(names) <= there and found.not_valid_after_utc - now > timedelta(days=SERVER_LEFT)

    def _make_certificate(self, names: Sequence[str], now: datetime) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID

        authority, signer = _load(self.authority), _load_key(self._authority_key)
        assert authority is not None
        assert signer is not None
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "swarm-tui broker")])
        made = (
            _builder(subject, authority.subject, key, now, SERVER_DAYS)
            .add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        _write(self.key, key)
        _write(self.certificate, _signed(made, signer))


def _load_key(path: Path) -> "EllipticCurvePrivateKey | None":
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return None
    return found if isinstance(found, ec.EllipticCurvePrivateKey) else None


def _belongs(key: "EllipticCurvePrivateKey | None", certificate: "x509.Certificate | None") -> bool:
    """Return whether both are there, and the one is the other's."""
    return key is not None and certificate is not None and key.public_key() == certificate.public_key()


def _check_library() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise CertificatesError(INSTALL) from None


def _load(path: Path) -> "x509.Certificate | None":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _name(text: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(
    subject: "x509.Name", issuer: "x509.Name", key: "EllipticCurvePrivateKey", now: datetime, days: int
) -> "x509.CertificateBuilder":
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _SKEW)
        .not_valid_after(now.astimezone(UTC) + timedelta(days=days))
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=digital_signature, key_cert_sign=key_cert_sign, crl_sign=crl_sign, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _signed(made: "x509.CertificateBuilder", key: "EllipticCurvePrivateKey") -> "x509.Certificate":
    from cryptography.hazmat.primitives import hashes

    return made.sign(key, hashes.SHA256())


def _write(path: Path, what: "x509.Certificate | EllipticCurvePrivateKey") -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    if isinstance(what, x509.Certificate):
        raw = what.public_bytes(serialization.Encoding.PEM)
    else:
        raw = what.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    write_private(path, raw)
