"""The examples of clients in other languages."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.releases import EVEN_USER, TITLES

ROOT = Path(__file__).parents[2]
GO = ROOT / "clients" / "go"

NODE_MODULES = next(
    (path for path in map(Path, os.environ.get("NODE_PATH", "").split(":")) if (path / "@grpc/grpc-js").is_dir()), None
)


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=600)


@pytest.mark.skipif(
    shutil.which("node") is None or NODE_MODULES is None,
    reason="node, or @grpc/grpc-js and @grpc/proto-loader in NODE_PATH, are missing (npm install @grpc/grpc-js …)",
)
def test_node_example(recommender_address: str) -> None:
    """The Node example works from the .proto files, and names what is wrong with its arguments."""
    example = ROOT / "clients" / "node" / "recommend.js"
    answer = run("node", example, str(EVEN_USER), recommender_address, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    assert [line.split("  ")[1] for line in answer.stdout.splitlines()][:2] == [TITLES[4], TITLES[6]]
    wrong = run("node", example, "nobody", recommender_address, cwd=ROOT)
    assert wrong.returncode == 2
    assert 'got "nobody"' in wrong.stderr


needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="go is not on the PATH")


@needs_go
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_go_example(recommender_address: str, tmp_path: Path) -> None:
    """The Go example builds and prints movies; for a bad request it names the field."""
    example: tuple[str | Path, ...] = (tmp_path / "recommend", "-timeout", "60s", "-address", recommender_address)
    built = run("go", "build", "-o", tmp_path / "recommend", "./cmd/recommend", cwd=GO)
    if built.returncode != 0 and "dial tcp" in built.stderr:
        pytest.skip("the modules of the Go example could not be downloaded")
    assert built.returncode == 0, built.stderr
    answer = run(*example, "-n", "2", str(EVEN_USER), cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert [line.split("  ")[1] for line in answer.stdout.splitlines()] == [TITLES[4], TITLES[6]]
    wrong = run(*example, "-n", "501", str(EVEN_USER), cwd=tmp_path)
    assert wrong.returncode == 1
    assert "limit: " in wrong.stderr


@needs_go
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_generated_go_code_is_current(tmp_path: Path) -> None:
    """Generating the Go code again gives the same files."""
    before = tmp_path / "before"
    shutil.copytree(GO / "recommenderv1", before)
    generated = run("go", "generate", "./recommenderv1", cwd=GO)
    if generated.returncode != 0 and "dial tcp" in generated.stderr:
        pytest.skip("the modules of the Go example could not be downloaded")
    assert generated.returncode == 0, generated.stderr
    names = [path.name for path in before.iterdir()]
    _, differing, missing = filecmp.cmpfiles(before, GO / "recommenderv1", names, shallow=False)
    assert not differing
    assert not missing
