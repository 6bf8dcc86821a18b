"""Generate the code of the API, its descriptor set and docs/api.md: `python -m tools.protos [--check]`.

`--check` writes nothing, and ends with status 1 if a generated file differs from what its .proto gives.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import google.rpc.status_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from tools.api_reference import api_reference

ROOT = Path(__file__).resolve().parent.parent
GOOGLEAPIS = Path(google.rpc.status_pb2.__file__).parents[2]
SERVICES = ("protos/recommender/v1/recommender.proto",)
DESCRIPTORS = "protos/recommender/v1/recommender.binpb"  # for clients without reflection; comments included
THIRD_PARTY = "protos/third_party"
# They come along in THIRD_PARTY, for clients that start from the .proto files.
IMPORTED = ("google/api/field_behavior.proto", "google/rpc/status.proto")
CLIENT = "clients/python/movie_recommender_client/v1"  # has the API's Python code too: `protos` is a name of ours
REFERENCE = "docs/api.md"


def main(argv: list[str]) -> int:
    """Returns the exit status: 1 if a generated file is missing or out of date, 2 for wrong usage."""
    if argv not in ([], ["--check"]):
        print("usage: python -m tools.protos [--check]", file=sys.stderr)
        return 2
    if not argv:
        generate(ROOT)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        stale = [
            name
            for path in sorted(p for p in Path(scratch).rglob("*") if p.is_file())
            if not (ROOT / (name := path.relative_to(scratch))).is_file()
            or (ROOT / name).read_bytes() != path.read_bytes()
        ]
    for name in stale:
        print(f"{name} does not match its .proto: run `make protos`", file=sys.stderr)
    if not stale:
        print("generated code: up to date")
    return 1 if stale else 0


def generate(into: Path) -> None:
    """Write everything that is generated below the folder `into`, in the layout of the repository."""
    for name in IMPORTED:
        (into / THIRD_PARTY / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(GOOGLEAPIS / name, into / THIRD_PARTY / name)
    all_protos = (p.relative_to(ROOT) for p in (ROOT / "protos").rglob("*.proto"))
    sources = sorted(str(p) for p in all_protos if not p.is_relative_to(THIRD_PARTY))
    includes = [f"-I{ROOT}", f"-I{GOOGLEAPIS}", f"-I{Path(protoc.__file__).parent / '_proto'}"]
    plugin = f"--plugin=protoc-gen-mypy_grpc={Path(sys.executable).parent / 'protoc-gen-mypy_grpc'}"
    messages = [f"--python_out={into}", f"--pyi_out={into}", *sources]
    services = [plugin, f"--grpc_python_out={into}", f"--mypy_grpc_out=quiet:{into}", *SERVICES]
    what = ["--include_imports", "--include_source_info"]
    descriptors = [f"--descriptor_set_out={into / DESCRIPTORS}", *what, *SERVICES]
    for arguments in (messages, services, descriptors):
        if protoc.main(["protoc", *includes, *arguments]) != 0:
            raise SystemExit("error: protoc failed")
    files = FileDescriptorSet.FromString((into / DESCRIPTORS).read_bytes()).file
    (into / REFERENCE).parent.mkdir(exist_ok=True)
    (into / REFERENCE).write_text(
        api_reference(next(file for file in files if file.name in SERVICES)), encoding="utf-8"
    )
    _copy_for_client(into)


def _copy_for_client(into: Path) -> None:
    """Write the Python code of the API once more, as a module of the client package."""
    (into / CLIENT).mkdir(parents=True, exist_ok=True)
    (into / CLIENT / "__init__.py").write_text("", encoding="utf-8")
    for source in (into / SERVICES[0]).parent.glob("recommender_pb2*"):
        code = source.read_text(encoding="utf-8")
        code = code.replace("from protos.recommender.v1 import", f"from {Path(CLIENT).parent.name}.v1 import")
        (into / CLIENT / source.name).write_text(code, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
