"""TLS on the gRPC port, set by --ssl_config_file. As under TensorFlow Serving, REST has no TLS."""

from __future__ import annotations

import argparse

import grpc

from protos.tfserving.v1.ssl_config_pb2 import SslConfig
from serving.stand_in.text_proto import ConfigError, read_text_proto


def credentials_of(flags: argparse.Namespace) -> grpc.ServerCredentials | None:
    """The server's key and certificate, None for a port without TLS.

    Raises ConfigError if the file cannot be read or does not hold what it must.
    """
    if not flags.ssl_config_file:
        return None
    config = read_text_proto(flags.ssl_config_file, SslConfig)
    for name, text in (("server_key", config.server_key), ("server_cert", config.server_cert)):
        if not text.startswith("-----BEGIN "):
            raise ConfigError(f"{flags.ssl_config_file}: {name}: expected PEM text, not a path, got {text[:40]!r}")
    if config.client_verify and not config.custom_ca:
        raise ConfigError(f"{flags.ssl_config_file}: client_verify: expected a custom_ca to check clients against")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )
