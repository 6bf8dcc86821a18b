"""Ask an advisory service about every package of constraints.txt: `python -m tools.audit`.

The exit status is 0 only if each package was looked up and none has a known weakness.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LOCK = Path("constraints.txt")
TIMEOUT_S = 15
NOT_LOOKED_UP = 2


def main() -> int:
    """Returns the exit status: 0, 1 for known weaknesses, 2 if not every package could be looked up."""
    # --strict: a package that the service does not know fails, too. --disable-pip: the lock is looked up as it is.
    flags = ["--strict", "--disable-pip", "--require-hashes", "--progress-spinner=off", f"--timeout={TIMEOUT_S}"]
    command = [sys.executable, "-m", "pip_audit", *flags, "--requirement", str(LOCK)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    print(run.stdout, end="")
    complaint = run.stderr.strip()
    if run.returncode == 0:
        print(complaint)
        return 0
    if run.stdout.strip():  # the table of what was found
        print(complaint, file=sys.stderr)
        return 1
    last = complaint.splitlines()[-1][:300] if complaint else f"status {run.returncode}"
    print(f"error: audit of {LOCK} failed, so nothing is known of its packages: {last}", file=sys.stderr)
    return NOT_LOOKED_UP


if __name__ == "__main__":
    sys.exit(main())
