"""Locks, the bill of materials, the audit, pinned images, and what containers may do."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import pin_images

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [ROOT / "constraints.txt", *sorted((ROOT / "deploy").glob("*.lock")), ROOT / "benchmarks" / "benchmarks.lock"]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
MANIFEST = b'{"schemaVersion": 2}'


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_of_a_lock_has_hashes(lock: Path) -> None:
    """Each package has one version and hashes of its files, and the lock names no index."""
    text = lock.read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all(re.match(r"[a-z0-9._-]+==\S+", entry) and "--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


@pytest.mark.parametrize("lock", LOCKS[1:-1], ids=lambda lock: lock.name)
def test_images_have_the_versions_that_are_tested(lock: Path) -> None:
    """The lock of an image holds only versions and hashes that constraints.txt holds."""
    all_lines = set(LOCKS[0].read_text(encoding="utf-8").splitlines())
    lines = lock.read_text(encoding="utf-8").splitlines()
    assert {line.removesuffix(" \\").partition(" ;")[0] for line in lines} <= {
        line.removesuffix(" \\").partition(" ;")[0] for line in all_lines
    }


@pytest.mark.slow
def test_the_bill_of_materials_lists_every_package(tmp_path: Path) -> None:
    """`make sbom` writes CycloneDX with each package of the lock."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(LOCKS[0]), "--output-file"]
    subprocess.run([*command, str(tmp_path / "sbom.json")], check=True, capture_output=True)
    bill = json.loads((tmp_path / "sbom.json").read_text())
    locked = re.findall(r"^([a-z0-9._-]+)==([^ ]+)", LOCKS[0].read_text(), re.MULTILINE)
    assert bill["bomFormat"] == "CycloneDX"
    assert sorted((part["name"], part["version"]) for part in bill["components"]) == sorted(locked)


def test_an_audit_that_cannot_ask_fails() -> None:
    """Where the advisory service does not answer, `make audit` ends with one line and status 2."""
    nobody = "http://127.0.0.1:1"
    run = subprocess.run(
        [sys.executable, "-m", "tools.audit"],
        cwd=ROOT,
        env={**os.environ, "HTTPS_PROXY": nobody, "https_proxy": nobody, "HTTP_PROXY": nobody, "http_proxy": nobody},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (run.returncode, run.stdout) == (2, "")
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: audit of constraints.txt failed, so nothing is known of its packages")


class _Registry(BaseHTTPRequestHandler):
    """A registry that has python:3.11-slim, for whoever fetched a token."""

    def do_GET(self) -> None:
        host = self.headers["Host"]
        if self.path.startswith("/token?service=s&scope=repository"):
            self._answer(200, b'{"token": "let me in"}')
        elif self.headers["Authorization"] != "Bearer let me in":
            challenge = f'Bearer realm="http://{host}/token",service="s",scope="repository:python:pull"'
            self._answer(401, b"", {"WWW-Authenticate": challenge})
        elif self.path == "/v2/library/python/manifests/3.11-slim":
            self._answer(200, MANIFEST)
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


@pytest.fixture
def registry() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def recipes(folder: Path, *images: str) -> list[Path]:
    """A Dockerfile, a compose file and a manifest that name the images."""
    (folder / "deploy" / "k8s" / "base").mkdir(parents=True)
    dockerfile, compose = folder / "deploy" / "a.Dockerfile", folder / "docker-compose.yml"
    manifest = folder / "deploy" / "k8s" / "base" / "a.yaml"
    dockerfile.write_text("".join(f"FROM {image} AS build\n" for image in images))
    compose.write_text("services:\n" + "".join(f"  image: {image} # x86-64\n  image: ours\n" for image in images))
    manifest.write_text("containers:\n" + "".join(f"- name: a\n  image: {image}\n" for image in images))
    return [dockerfile, compose, manifest]


def test_images_are_pinned_to_what_the_registry_sends(registry: str, tmp_path: Path) -> None:
    """The digest is that of the manifest. Pinning again changes nothing, and images of ours have no digest."""
    image = f"{registry}/library/python:3.11-slim"
    dockerfile, compose, manifest = recipes(tmp_path, image)
    pinned = f"{image}@sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
    for _ in range(2):
        assert pin_images.main([str(tmp_path)]) == 0
        assert dockerfile.read_text() == f"FROM {pinned} AS build\n"
        assert compose.read_text() == f"services:\n  image: {pinned} # x86-64\n  image: ours\n"
        assert manifest.read_text() == f"containers:\n- name: a\n  image: {pinned}\n"


@pytest.mark.parametrize("image", ["127.0.0.1:1/python:3.11-slim", "REGISTRY/library/python:3.99"])
def test_no_digest_is_invented(registry: str, tmp_path: Path, image: str, capsys: pytest.CaptureFixture[str]) -> None:
    """If a registry does not answer or does not know one image, no file is changed, and one line names it."""
    image = image.replace("REGISTRY", registry)
    files = recipes(tmp_path, f"{registry}/library/python:3.11-slim", image)
    before = [path.read_text() for path in files]
    assert pin_images.main([str(tmp_path)]) == 1
    assert f"gives no manifest of {image}" in capsys.readouterr().err
    assert [path.read_text() for path in files] == before


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_container_may_do_little(name: str) -> None:
    """Each container is read-only and without capabilities, has limits, and no port that others can reach."""
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert all(re.match(r"127\.0\.0\.1:|\$\{BIND_ADDRESS:-127\.0\.0\.1\}:", port) for port in service.get("ports", ()))
    if "build" in service:
        assert re.search(r"^USER \w+", (ROOT / service["build"]["dockerfile"]).read_text(), re.MULTILINE)
    else:
        assert service["user"] not in ("", "0", "root")
