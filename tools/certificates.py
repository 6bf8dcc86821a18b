"""Makes certificates: an authority of its own, and certificates for servers and clients that it signs."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOOPBACK = ("localhost", "127.0.0.1", "::1")
CLOCK_SKEW = timedelta(minutes=5)  # a certificate is valid a little before it was made


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as PEM text."""

    certificate: bytes
    key: bytes


class Authority:
    """A certificate authority. Its key is kept in memory only, so it signs nothing after this process has ended."""

    def __init__(self, name: str, lifetime: timedelta) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        builder = _builder(self._name, self._name, self._key.public_key(), lifetime)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def server(self, lifetime: timedelta, names: tuple[str, ...] = LOOPBACK) -> Pair:
        """A certificate for a server.  names: host names and IP addresses by which clients reach it."""
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        return self._issue(names[0], lifetime, alternatives, ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, lifetime: timedelta, name: str = "client") -> Pair:
        """A certificate for a client.  lifetime: a negative one has passed already."""
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name)])
        return self._issue(name, lifetime, alternatives, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(
        self, name: str, lifetime: timedelta, alternatives: x509.SubjectAlternativeName, usage: x509.ObjectIdentifier
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named(name), self._name, key.public_key(), lifetime)
        builder = builder.add_extension(alternatives, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        return Pair(certificate, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + lifetime) - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
