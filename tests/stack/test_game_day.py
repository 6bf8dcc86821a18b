"""`make game-day`, with the two faults that are quickest."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from tests.support.privileges import needs_mounts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not on the PATH"),
]


@needs_mounts
@pytest.mark.long
def test_what_breaks_fires_its_alert_within_a_minute() -> None:
    """No alert fires while all is well; a refused release and a killed worker fire theirs, and the table says so."""
    flags = ["--healthy-seconds", "10", "--only", "release refused", "worker killed"]
    run = subprocess.run([sys.executable, "-m", "tools.game_day", *flags], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "no alert fired" in run.stdout
    for alert in ("RecommenderReleaseRefused", "RecommenderWorkerReplaced"):
        assert re.search(rf"(?m)^.+ {alert} +\d+ s   \S.*\.$", run.stdout), run.stdout
