"""The commands in serving/README.md for calling a server by hand."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conformance.prepared import model_config, models_config
from tests.conformance.target import Target

README = Path(__file__).parents[2] / "serving" / "README.md"
COMMANDS = re.findall(r"^(?:grpcurl|curl) (?:.*\n    )*.*$", README.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_works(target: Target, rest: str, folder: Path, command: str) -> None:
    """The command ends with status 0 and prints what one would expect."""
    program = command.split()[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on the PATH")
    target.reload(*models_config(folder), model_config("user_embedding", folder / "models" / "user"))
    here = command.replace("localhost:8500", target.address).replace("localhost:8501", rest)
    run = subprocess.run(here, shell=True, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search("user_embedding|AVAILABLE|SERVING|predictions|outputs", run.stdout), run.stdout


def test_the_readme_has_such_commands() -> None:
    """Fewer commands would mean that the pattern no longer finds them."""
    assert len(COMMANDS) >= 8
