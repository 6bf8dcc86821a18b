"""TLS on the service's port, with certificates that may be replaced while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from recommender_service.metrics import CERTIFICATE_EXPIRES

if TYPE_CHECKING:
    from recommender_service.access.certificates import Certificates


class ServerTls:
    """The certificates for connections that are made from now on; those that are open keep what they were made with."""

    def __init__(self, certificates: Certificates) -> None:
        """certificates: if they have a `ca`, clients must show a certificate that it signed."""
        self._needs_client_certificate = certificates.ca is not None
        self.use(certificates)
        self._taken = self._latest

    def use(self, certificates: Certificates) -> None:
        """Use these certificates for new connections."""
        assert certificates.key is not None  # the settings have both or neither
        assert certificates.certificate is not None
        pair = (certificates.key, certificates.certificate)
        self._latest = grpc.ssl_server_certificate_configuration([pair], root_certificates=certificates.ca)
        if certificates.expires is not None:
            CERTIFICATE_EXPIRES.set(certificates.expires.timestamp())

    def credentials(self) -> grpc.ServerCredentials:
        """What a port is opened with."""
        return grpc.dynamic_ssl_server_credentials(
            self._latest,
            self._changed,  # type: ignore[arg-type] # its stub does not know that None stands for no change
            require_client_authentication=self._needs_client_certificate,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The certificates, if they are not those that gRPC has. Threads of gRPC call this for each new connection."""
        latest = self._latest
        if latest is self._taken:
            return None
        self._taken = latest
        return latest
