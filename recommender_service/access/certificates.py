"""Files with certificates and keys, checked before they are used.

This module must not import grpc, because the supervisor uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

ENCODING, FORMAT = Encoding.DER, PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True)
class CertificateFiles:
    """Paths of PEM files, None for those that are not set.

    ca: certificates of the authorities that are trusted.
    certificate: what this side shows, the intermediate certificates after it.  key: its private key.
    """

    ca: Path | None
    certificate: Path | None
    key: Path | None

    def read(self) -> tuple[bytes | None, ...]:
        """The contents of the three files, in order.  Raises OSError."""
        return tuple(path.read_bytes() if path is not None else None for path in (self.ca, self.certificate, self.key))

    def check(self, contents: Sequence[bytes | None]) -> Certificates:
        """The contents, if they can be used now.

        Raises ValueError, which names the file and says what was expected of it.
        """
        ca, certificate, key = contents
        expires = None
        if ca is not None:
            _certificates(self.ca, ca)
        if certificate is not None and key is not None:
            first = _certificates(self.certificate, certificate)[0]
            if _public_key(self.key, key) != first.public_key().public_bytes(ENCODING, FORMAT):
                raise ValueError(f"{self.key}: expected the key of the certificate in {self.certificate}, got another")
            expires = first.not_valid_after_utc
        return Certificates(ca, certificate, key, expires)

    def load(self) -> Certificates:
        """Read and check the files.  Raises OSError, or ValueError as `check` does."""
        return self.check(self.read())


@dataclass(frozen=True)
class Certificates:
    """The contents of the files, and when the certificate of this side expires."""

    ca: bytes | None
    certificate: bytes | None
    key: bytes | None
    expires: datetime | None


def _certificates(path: Path | None, content: bytes) -> list[x509.Certificate]:
    """The certificates in a PEM file; each is valid now.  Raises ValueError."""
    try:
        found = x509.load_pem_x509_certificates(content)
    except ValueError:
        raise ValueError(f"{path}: expected certificates in PEM, got none that can be read") from None
    now = datetime.now(UTC)
    for certificate in found:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            valid = f"from {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc}"
            raise ValueError(f"{path}: expected certificates that are valid now, got one that is valid {valid}")
    return found


def _public_key(path: Path | None, content: bytes) -> bytes:
    """The public key that belongs to the private key in a PEM file.  Raises ValueError."""
    try:
        key: Any = load_pem_private_key(content, password=None)
        return bytes(key.public_key().public_bytes(ENCODING, FORMAT))
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: the key is encrypted
        raise ValueError(f"{path}: expected a private key in PEM without a password, got something else") from None
