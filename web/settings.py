"""The settings of the page, read from environment variables once, at start-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from movie_recommender_client import Tls

MAX_TIMEOUT_MS = 600_000  # nobody waits longer for a page


class SettingsError(ValueError):
    """A variable holds a wrong value. The message names the variable, what was expected and what it holds."""


@dataclass(frozen=True)
class Settings:
    """Each field is read from the variable of the same name in capitals."""

    web_address: str = "127.0.0.1:8080"
    """host:port to serve the page on. Port 0 stands for any free port; the page prints the one taken."""

    web_hosts: tuple[str, ...] = ("localhost", "127.0.0.1")
    """Names under which browsers may call the page. Under another name, which a foreign site could give to this
    machine, it answers 400."""

    recommender_address: str = "localhost:50051"
    """host:port of the recommender, or another name that gRPC knows."""

    recommender_ca: Path | None = None
    """PEM file with authorities, one of which must have signed the recommender's certificate. Empty means no TLS."""

    recommender_certificate: Path | None = None
    """PEM file with the certificate that the recommender is shown, if it asks for one."""

    recommender_key: Path | None = None
    """PEM file with the private key of RECOMMENDER_CERTIFICATE, without a password."""

    recommender_token: str | None = None
    """The token that goes along with each call. It needs RECOMMENDER_CA."""

    recommender_timeout_ms: int = 2000
    """How long a call of the recommender may take, its retries included."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings that are set, and take the defaults for the others. Raises SettingsError."""
        values = {}
        for name, parse in _PARSERS.items():
            text = environment.get(name.upper())
            if text is not None:
                try:
                    values[name] = parse(text)
                except ValueError as error:
                    raise SettingsError(f"{name.upper()}: expected {error}, got {text[:40]!r}") from None
        settings = cls(**values)
        settings._check_access()
        return settings

    @property
    def tls(self) -> Tls | None:
        """How calls are encrypted; None if they are not."""
        if self.recommender_ca is None:
            return None
        return Tls(self.recommender_ca, self.recommender_certificate, self.recommender_key)

    @property
    def listen(self) -> tuple[str, int]:
        """Host and port of WEB_ADDRESS, an IPv6 host without its brackets."""
        host, _, port = self.web_address.rpartition(":")
        return host.strip("[]"), int(port)

    def _check_access(self) -> None:
        """Check that what TLS needs is set, and that the files can be read.  Raises SettingsError."""
        if (self.recommender_certificate is None) != (self.recommender_key is None):
            raise SettingsError("RECOMMENDER_CERTIFICATE and RECOMMENDER_KEY: expected both or neither, got one")
        if self.tls is None and (self.recommender_certificate or self.recommender_token):
            raise SettingsError("RECOMMENDER_CA: expected a file, as a certificate or a token is set; got none")
        try:
            if self.tls is not None:
                self.tls.credentials()
        except OSError as error:
            raise SettingsError(f"RECOMMENDER_CA, RECOMMENDER_CERTIFICATE and RECOMMENDER_KEY: {error}") from None


def _address(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not (separator and host and port.isdecimal() and int(port) < 65536):
        raise ValueError("host:port")
    return text


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ValueError("names of hosts, with commas between them")
    return names


def _some_text(text: str) -> str:
    if not text:
        raise ValueError("an address")
    return text


def _optional_path(text: str) -> Path | None:
    return Path(text) if text else None


def _optional_text(text: str) -> str | None:
    return text.strip() or None


def _milliseconds(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= MAX_TIMEOUT_MS):
        raise ValueError(f"milliseconds from 1 to {MAX_TIMEOUT_MS}")
    return int(text)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "web_address": _address,
    "web_hosts": _names,
    "recommender_address": _some_text,
    "recommender_ca": _optional_path,
    "recommender_certificate": _optional_path,
    "recommender_key": _optional_path,
    "recommender_token": _optional_text,
    "recommender_timeout_ms": _milliseconds,
}
