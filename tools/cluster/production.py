"""The overlay `production` in a cluster: TLS on both sides, tokens and signed releases, all of them from Secrets."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from datetime import timedelta
from pathlib import Path

from tools.certificates import Authority
from tools.cluster.callers import ASK, RECOMMENDER, call
from tools.cluster.checks import first_release, make_secret, new_namespace
from tools.cluster.node import OWNER, Cluster
from tools.overlays import write_overlay
from tools.processes import wait_for
from trainer.data import sample

OBJECTS = Path(__file__).with_name("production.yaml")
LIFETIME = timedelta(days=1)
SECRET_TIMEOUT_S = 180
SHOWN = ("--tls-ca=/tmp/ca.crt", "--tls-cert=/tmp/client.crt", "--tls-key=/tmp/client.key")
# A node of two cores has no room for two replicas of each with what the overlay asks for.
LESS_CPU = "- {op: replace, path: /spec/template/spec/containers/0/resources/requests/cpu, value: 100m}"


def check_production(made: Cluster) -> None:
    """Two replicas of each serve a signed release to clients with a certificate and a token, and to nobody else."""
    new_namespace(made)
    _make_volumes(made)
    certs, token = made.folder / "certs-of-clients", secrets.token_hex(32)
    certs.mkdir()
    _make_secrets(made, certs, token)
    made.kubectl("apply", "--server-side", f"--kustomize={_overlay(made.folder)}")
    first_release(made)
    for name, text in {**{path.name: path.read_text() for path in certs.iterdir()}, "token": token}.items():
        _write(made, name, text)
    assert _answers(made, *SHOWN, "--token-file=/tmp/token"), "with a certificate and a token: no answer"
    assert not _answers(made, *SHOWN), "without a token: an answer"
    assert not _answers(made, "--tls-ca=/tmp/ca.crt", "--token-file=/tmp/token"), "without a certificate: an answer"
    print("production: a client with a certificate and a token gets answers, and none without either", flush=True)
    _check_new_token(made)


def _make_volumes(made: Cluster) -> None:
    shared, ratings = made.folder / "shared", made.folder / "ratings"
    shared.mkdir()
    os.chown(shared, OWNER, OWNER)
    ratings.mkdir()
    table = sample.generate().ratings
    table.to_csv(ratings / "ratings.csv", index=False)
    made.kubectl("apply", "--filename=-", stdin=OBJECTS.read_text().replace("FOLDER", str(made.folder)))


def _make_secrets(made: Cluster, certs: Path, token: str) -> None:
    """The Secrets of docs/kubernetes.md.  certs: gets the files of a client."""
    authority = Authority("a test", LIFETIME)
    server, client = authority.server(LIFETIME, (RECOMMENDER.partition(":")[0],)), authority.client(LIFETIME)
    (certs / "ca.crt").write_bytes(authority.certificate)
    (certs / "client.crt").write_bytes(client.certificate)
    (certs / "client.key").write_bytes(client.key)
    tls = {"tls.crt": server.certificate, "tls.key": server.key, "ca.crt": authority.certificate}
    make_secret(made, "recommender-tls", {name: content.decode() for name, content in tls.items()})
    make_secret(made, "recommender-tokens", {"tokens": _tokens(token)})
    make_secret(made, "release-key", {"key": secrets.token_hex(32)})


def _tokens(token: str) -> str:
    return f"client  {hashlib.sha256(token.encode()).hexdigest()}  *\n"


def _overlay(folder: Path) -> Path:
    """The folder of a new overlay: `production`, with less CPU for each pod, and with the images of this test."""
    images = [
        {"name": f"registry.example.com/{name}", "newName": name, "newTag": "latest"}
        for name in ("movie-recommender", "movie-recommender-trainer")
    ]
    patches = [{"target": {"kind": "Deployment"}, "patch": LESS_CPU}]
    return write_overlay(folder / "production", "production", patches=patches, images=images)


def _write(made: Cluster, name: str, text: str) -> None:
    """Write a file into /tmp of the client's pod."""
    writing = ("sh", "-c", f"cat >/tmp/{name}")
    made.kubectl("exec", "--stdin", "client", "--namespace=clients", "--", *writing, stdin=text)


def _answers(made: Cluster, *access: str) -> bool:
    return call(made, "client", *ASK, *access, "recommend", "1").returncode == 0


def _check_new_token(made: Cluster) -> None:
    """A Secret that has changed is in use without a restart."""
    token = secrets.token_hex(32)
    make_secret(made, "recommender-tokens", {"tokens": _tokens(token)})
    start = time.monotonic()
    _write(made, "token", token)
    wait_for(lambda: _answers(made, *SHOWN, "--token-file=/tmp/token"), "the new token is in use", SECRET_TIMEOUT_S)
    print(f"production: a new token in the Secret was in use after {time.monotonic() - start:.0f} s", flush=True)
