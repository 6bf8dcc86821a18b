"""The service's settings, read from environment variables once, at start-up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from object_storage.url import artifacts_url
from recommender_service.setting_values import (
    MILVUS_FILE,
    address,
    ann,
    at_least,
    boolean,
    collector,
    events_url,
    key_file,
    level,
    milvus_uri,
    optional_address,
    optional_path,
    problem_of_milvus,
    seconds,
    token_file,
)

if TYPE_CHECKING:
    from recommender_service.access.certificates import CertificateFiles


class SettingsError(ValueError):
    """A variable holds a wrong value. The message names the variable, what was expected and what it holds."""


@dataclass(frozen=True)
class Settings:
    """Each field is read from the variable of the same name in capitals."""

    listen_address: str = "0.0.0.0:50051"
    """host:port to serve on. Port 0 stands for any free port; the log names the one taken."""

    tls_certificate: Path | None = None
    """PEM file with the certificate that the service shows, intermediate ones after it. Empty turns TLS off."""

    tls_key: Path | None = None
    """PEM file with the private key of TLS_CERTIFICATE, without a password."""

    tls_client_ca: Path | None = None
    """PEM file with authorities, one of which must have signed a client's certificate. Empty lets every client in."""

    token_file: Path | None = None
    """File with callers, their tokens' SHA-256 and RPCs; access/token_file.py says how. Empty needs no tokens."""

    reflection: bool = True
    """Whether clients may ask for the descriptors of the services."""

    health_address: str = ""
    """host:port at which health is answered in plaintext and without a token. Empty opens no such port."""

    workers: int = 1
    """Number of processes that share the port. Use one per core; each has a cache and a bound on calls of its own."""

    releases_dir: Path = Path("artifacts/releases")
    """Folder to which the trainer publishes releases. The service looks into it every second."""

    artifacts: str = ""
    """Bucket from which RELEASES_DIR is kept up to date: s3://bucket/prefix, gs://… or file:///…. Empty: from none."""

    artifacts_every_s: float = 10.0
    """How often to look into the bucket for new releases. Every look is a request that the store may charge for."""

    verify_key_file: Path | None = None
    """File with the keys, one per line, one of which must have signed a release. Empty takes unsigned releases too."""

    ann: str = "annoy"
    """What finds the nearest movies: annoy, an index in this process, or milvus. It needs the extra `milvus`."""

    milvus_uri: str = ""
    """http(s)://host:port of Milvus, perhaps with /database; or a file that ends in .db, for milvus-lite and tests."""

    milvus_token: str = ""
    """Token of Milvus, or user:password. Empty if it asks for none."""

    tf_serving_address: str = "localhost:8500"
    """host:port of TensorFlow Serving's gRPC API, or of several servers; model_server_channel.py says how."""

    model_server_ca: Path | None = None
    """PEM file with authorities, one of which must have signed the model server's certificate. Empty means no TLS."""

    model_server_certificate: Path | None = None
    """PEM file with the certificate that the model server is shown, if it asks for one."""

    model_server_key: Path | None = None
    """PEM file with the private key of MODEL_SERVER_CERTIFICATE, without a password."""

    model_server_name: str = ""
    """Name in the model server's certificate, if it is not the host of TF_SERVING_ADDRESS."""

    predict_timeout_ms: int = 500
    """Longest time that a call waits for the model server, or for Milvus. The caller's deadline may shorten it."""

    degraded_answers: bool = True
    """While the model server cannot be asked, Recommend answers from the liked movies alone (true) or fails (false)."""

    user_cache_size: int = 10_000
    """How many embeddings of known users to keep, and as many of fold-ins; four bytes per dimension. 0 keeps none."""

    max_concurrent_calls: int = 256
    """Most calls in progress; nearly all of them wait for the model server. Further calls get RESOURCE_EXHAUSTED."""

    max_queued_calls: int = 64
    """Most calls that may wait for the processor. Of further calls, some get CANCELLED; beyond twice as many, all do.

    gRPC refuses them before Python sees them, which costs far less than a refusal by our own code.
    """

    max_connection_age_s: float = 300.0
    """After this time, give or take a tenth, a client must connect anew, by which clients spread over workers and
    replicas. Calls in progress may take shutdown_grace_s to finish. 0 lets connections stay."""

    events_url: str = ""
    """Where to record events: sqlite:////folder/events.db, or postgresql://user:password@host/name. Empty: nowhere."""

    max_held_events: int = 1_000_000
    """Most events newer than the release that each worker holds in memory, 49 bytes each; twice that for moments."""

    metrics_address: str = ""
    """host:port at which Prometheus may scrape /metrics. Empty turns metrics off."""

    otel_exporter_otlp_endpoint: str = ""
    """URL of a collector that takes traces by OTLP over gRPC. Empty turns traces off."""

    shutdown_grace_s: float = 10.0
    """Longest time that calls in progress may take to finish after SIGTERM, or on a connection that is too old."""

    log_level: str = "INFO"
    """Lowest level that is logged: DEBUG logs every call, INFO the calls that fail."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings that are set, and take the defaults for the others. Raises SettingsError."""
        values = {}
        for name, parse in _PARSERS.items():
            variable = name.upper()
            if variable in environment:
                try:
                    values[name] = parse(environment[variable])
                except ValueError as error:
                    shown = _shown(variable, environment[variable])
                    raise SettingsError(f"{variable}: expected {error}, got {shown}") from None
        settings = cls(**values)
        settings._check_certificates()
        problem = problem_of_milvus(settings.ann, settings.milvus_uri, settings.workers)
        if problem:
            raise SettingsError(problem)
        return settings

    @property
    def server_certificates(self) -> CertificateFiles | None:
        """What the service's own TLS needs; None if it is off."""
        return self._files("tls_client_ca", "tls_certificate", "tls_key")

    @property
    def model_server_certificates(self) -> CertificateFiles | None:
        """What TLS towards the model server needs; None if it is off."""
        return self._files("model_server_ca", "model_server_certificate", "model_server_key")

    def _files(self, *names: str) -> CertificateFiles | None:
        paths = [getattr(self, name) for name in names]
        if not any(paths):
            return None
        # Not at the top: without TLS, nothing of it is loaded. It takes a tenth of a second and 20 MB.
        from recommender_service.access.certificates import CertificateFiles

        return CertificateFiles(*paths)

    def _check_certificates(self) -> None:
        """Check that what TLS needs is set, and that the files can be used.  Raises SettingsError."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsError("TLS_CERTIFICATE and TLS_KEY: expected both or neither, got one")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise SettingsError("TLS_CLIENT_CA: expected TLS_CERTIFICATE and TLS_KEY with it, got neither")
        if (self.model_server_certificate is None) != (self.model_server_key is None):
            raise SettingsError("MODEL_SERVER_CERTIFICATE and MODEL_SERVER_KEY: expected both or neither, got one")
        if self.model_server_ca is None and (self.model_server_certificate is not None or self.model_server_name):
            raise SettingsError("MODEL_SERVER_CA: expected a file, as other settings of that TLS are set; got none")
        for variables, files in (
            ("TLS_CERTIFICATE, TLS_KEY and TLS_CLIENT_CA", self.server_certificates),
            ("MODEL_SERVER_CA, MODEL_SERVER_CERTIFICATE and MODEL_SERVER_KEY", self.model_server_certificates),
        ):
            try:
                if files is not None:
                    files.load()
            except (OSError, ValueError) as error:
                raise SettingsError(f"{variables}: {error}") from None

    @property
    def milvus_is_file(self) -> bool:
        return self.milvus_uri.endswith(MILVUS_FILE)

    @property
    def logging_level(self) -> int:
        return logging.getLevelNamesMapping()[self.log_level]


def _shown(variable: str, value: str) -> str:
    """The beginning of a value, or nothing of it where it may hold a password."""
    return "something else" if variable == "EVENTS_URL" or "@" in value else repr(value[:40])


_PARSERS: dict[str, Callable[[str], Any]] = {
    "listen_address": address,
    "tls_certificate": optional_path,
    "tls_key": optional_path,
    "tls_client_ca": optional_path,
    "token_file": token_file,
    "reflection": boolean,
    "health_address": optional_address,
    "workers": at_least(1),
    "releases_dir": Path,
    "artifacts": artifacts_url,
    "artifacts_every_s": seconds,
    "verify_key_file": key_file,
    "ann": ann,
    "milvus_uri": milvus_uri,
    "milvus_token": str,
    "tf_serving_address": address,
    "model_server_ca": optional_path,
    "model_server_certificate": optional_path,
    "model_server_key": optional_path,
    "model_server_name": str,
    "predict_timeout_ms": at_least(1),
    "degraded_answers": boolean,
    "user_cache_size": at_least(0),
    "max_concurrent_calls": at_least(1),
    "max_queued_calls": at_least(1),
    "max_connection_age_s": seconds,
    "events_url": events_url,
    "max_held_events": at_least(1),
    "metrics_address": optional_address,
    "otel_exporter_otlp_endpoint": collector,
    "shutdown_grace_s": seconds,
    "log_level": level,
}
