"""Make credentials for a try on this machine: `python -m tools.dev_certs [FOLDER]`.

They are an authority, certificates of it for the recommender, the model server and a client, and a token. They are
valid for a week. Nobody keeps the key of the authority.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
from datetime import timedelta
from pathlib import Path

from google.protobuf import text_format

from protos.tfserving.v1.ssl_config_pb2 import SslConfig
from recommender_service.client.channel import Access
from tools.certificates import LOOPBACK, Authority

LIFETIME = timedelta(days=7)
CONTAINERS = ("recommender", "tf-serving", "proxy")  # the names of docker-compose.yml
CALLER = "local"
SSL_CONFIG = "ssl.config"


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.dev_certs", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("certs"))
    folder: Path = parser.parse_args(argv).folder
    make(folder)
    print(f"{folder}/: an authority, certificates and a token, valid for {LIFETIME.days} days; for local tries only")
    print(f"make serve CERTS={folder}    serves with them, and prints commands to call it with")
    return 0


def make(folder: Path) -> None:
    """Write the files, which only their owner can read, and replace those from before."""
    authority = Authority("movie-recommender: for local tries only", LIFETIME)
    server = authority.server(LIFETIME, (*LOOPBACK, *CONTAINERS))
    client = authority.client(LIFETIME, CALLER)
    token = secrets.token_hex(32)
    ca = authority.certificate.decode()
    ssl = SslConfig(
        server_key=server.key.decode(), server_cert=server.certificate.decode(), custom_ca=ca, client_verify=True
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in {
        "ca.pem": ca,
        "server.pem": server.certificate.decode(),
        "server.key": server.key.decode(),
        "client.pem": client.certificate.decode(),
        "client.key": client.key.decode(),
        SSL_CONFIG: text_format.MessageToString(ssl),
        "tokens": f"{CALLER}  {hashlib.sha256(token.encode()).hexdigest()}  *\n",
        "token": f"{token}\n",
    }.items():
        _write(folder / name, content)


def service_settings(folder: Path) -> dict[str, str]:
    """The settings of a recommender that uses the files: TLS on both sides, and tokens."""
    names = {
        "TLS_CERTIFICATE": "server.pem",
        "TLS_KEY": "server.key",
        "TLS_CLIENT_CA": "ca.pem",
        "TOKEN_FILE": "tokens",
        "MODEL_SERVER_CA": "ca.pem",
        "MODEL_SERVER_CERTIFICATE": "client.pem",
        "MODEL_SERVER_KEY": "client.key",
    }
    return {variable: str(folder / name) for variable, name in names.items()}


def page_settings(folder: Path) -> dict[str, str]:
    """The settings of the page over that recommender."""
    return {
        "RECOMMENDER_CA": str(folder / "ca.pem"),
        "RECOMMENDER_CERTIFICATE": str(folder / "client.pem"),
        "RECOMMENDER_KEY": str(folder / "client.key"),
        "RECOMMENDER_TOKEN": (folder / "token").read_text(encoding="ascii").strip(),
    }


def client_access(folder: Path) -> Access:
    """What a client of that recommender trusts and shows.  Raises AccessError."""
    return Access.from_files(folder / "ca.pem", folder / "client.pem", folder / "client.key", folder / "token")


def _write(path: Path, content: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(content)
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
