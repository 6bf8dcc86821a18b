"""Pin the images of deploy/ and docker-compose.yml to digests: `python -m tools.pin_images [FOLDER]`.

The digest is that of the manifest which the image's registry sends for the tag, computed here. If one registry does not
answer, nothing is changed, and the exit status is 1.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 15
LINE = re.compile(r"^(?P<before>\s*(?:FROM|image:)\s+)(?P<image>[\w./:-]+:[\w.-]+)(?:@sha256:\w+)?(?P<after>.*)$", re.M)
MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
LOCAL = ("localhost", "127.0.0.1")  # as Docker does, these are asked without TLS


class NoDigest(Exception):
    """A registry gave no digest. The message names the image and says why."""


@dataclass(frozen=True)
class Image:
    """Where a registry has an image."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, name: str) -> Image:
        """The image of a name such as `python:3.11-slim`, which is short for docker.io/library/python:3.11-slim."""
        path, _, tag = name.rpartition(":")
        host, _, rest = path.partition("/")
        if rest and ("." in host or ":" in host or host == "localhost"):
            return cls(host, rest, tag)
        return cls("registry-1.docker.io", path if rest else f"library/{path}", tag)

    @property
    def url(self) -> str:
        scheme = "http" if self.registry.partition(":")[0] in LOCAL else "https"
        return f"{scheme}://{self.registry}/v2/{self.repository}/manifests/{self.tag}"


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    root = Path(argv[0]) if argv else ROOT
    files = {path: path.read_text(encoding="utf-8") for path in _files(root)}
    names = sorted({match["image"] for text in files.values() for match in LINE.finditer(text)})
    try:
        digests = {name: digest(name) for name in names}
    except NoDigest as error:
        print(f"error: {error}; nothing was changed", file=sys.stderr)
        return 1
    for path, text in files.items():
        path.write_text(LINE.sub(lambda found: _pinned(found, digests), text), encoding="utf-8")
    for name in names:
        print(f"{name}@{digests[name]}")
    return 0


def _files(root: Path) -> list[Path]:
    deploy = root / "deploy"
    return [*sorted(deploy.glob("*.Dockerfile")), *sorted(deploy.glob("k8s/base/*.yaml")), root / "docker-compose.yml"]


def _pinned(found: re.Match[str], digests: dict[str, str]) -> str:
    return f"{found['before']}{found['image']}@{digests[found['image']]}{found['after']}"


def digest(name: str) -> str:
    """`sha256:…` of the manifest that the image's registry sends.  Raises NoDigest."""
    image = Image.parse(name)
    try:
        manifest = _get(image.url, {"Accept": MANIFESTS})
    except (OSError, ValueError, KeyError) as error:
        raise NoDigest(f"{image.registry} gives no manifest of {name}: {error}") from error
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _get(url: str, headers: dict[str, str]) -> bytes:
    """The body of an answer; where the registry asks for a token, one is fetched where it says."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', error.headers.get("WWW-Authenticate", "")))
        if error.code != 401 or "Authorization" in headers or "realm" not in challenge:
            raise
    realm = challenge.pop("realm")
    with urllib.request.urlopen(f"{realm}?{urllib.parse.urlencode(challenge)}", timeout=TIMEOUT_S) as answer:
        token = json.load(answer)["token"]
    return _get(url, {**headers, "Authorization": f"Bearer {token}"})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
