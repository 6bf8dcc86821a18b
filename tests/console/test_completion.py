"""What `--print-completion` prints completes commands in real shells."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache

import pytest

PROGRAMS = {
    "recommender-client": "recommender_service.client",
    "recommender-trainer": "trainer",
    "recommender-events": "events",
}

# Asks bash what it would complete the words to, as the Tab key does.
ASK = """
source /dev/stdin <<<"$SCRIPT"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9
function=$(complete -p "$1" | sed -nE 's/.*-F ([^ ]+).*/\\1/p')
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@cache
def script(program: str, shell: str) -> str:
    command = [sys.executable, "-m", PROGRAMS[program], "--print-completion", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=200).stdout


def completed(*words: str) -> set[str]:
    """What bash offers for the last word."""
    environment = {"SCRIPT": script(words[0], "bash"), "PATH": "/usr/bin:/bin"}
    command = ["bash", "--norc", "-c", ASK, "bash", *words]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200, env=environment)
    return {word.strip() for word in run.stdout.splitlines()}


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_and_flags() -> None:
    """Commands, flags, choices and names of files are offered."""
    assert completed("recommender-client", "re") == {"recommend", "remove"}
    assert "--explain" in completed("recommender-client", "recommend", "--ex")
    assert completed("recommender-trainer", "in") == {"inspect"}
    assert "ml-1m" in completed("recommender-trainer", "train", "--dataset", "ml")
    assert any("etc" in word for word in completed("recommender-trainer", "train", "--data", "/et"))
    assert completed("recommender-events", "fo") == {"forget"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_read_the_script(shell: str) -> None:
    """The script names the installed program, and is of the shell's grammar where the shell is installed."""
    text = script("recommender-client", shell)
    assert "recommender-client" in text
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n"], input=text, text=True, check=True, timeout=200)
