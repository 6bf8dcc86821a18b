"""Break a stack in eight ways, and show which alert fires, after how many seconds, and what its runbook says.

    make game-day

It begins with a healthy period, in which no alert may fire. Exit status: 0 if each alert fired within a minute, else 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tools.game_day_faults import FAULTS, Fault, Stage
from tools.game_day_load import Load
from tools.processes import wait_for
from tools.prometheus import prometheus
from tools.servers import recommender, wait_until_serving
from tools.stack import train_release
from trainer.data.movielens import DEFAULT_DATASET

DISK_BYTES = 400 << 20
ON_SMALL_DISK = "--on-small-disk"
LIMIT_S = 60.0
RECOVERY_S = 90.0  # the longest window of an alert that must end before the next fault, and as much again
# More users than fit into the cache, so that the model server is asked; and bounds that one client can exceed.
SETTINGS = {
    "WORKERS": "2",
    "METRICS_ADDRESS": "127.0.0.1:0",
    "USER_CACHE_SIZE": "1",
    "MAX_CONCURRENT_CALLS": "16",
}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.game_day", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[fault.name for fault in FAULTS], help="only these faults")
    parser.add_argument("--healthy-seconds", type=float, default=60, help="(default: %(default)s)")
    parser.add_argument(ON_SMALL_DISK, action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if not arguments.on_small_disk:  # in a namespace of its own it may mount a small disk, which is gone at the end
        command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m", "tools.game_day"]
        return subprocess.run([*command, ON_SMALL_DISK, *argv], check=False).returncode
    faults = [fault for fault in FAULTS if not arguments.only or fault.name in arguments.only]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        stage = _start(Path(folder), running)
        healthy = _healthy(stage, arguments.healthy_seconds)
        print(f"{'what broke':<22}{'alert':<32}{'after':>7}   what to do", flush=True)
        fired = [_play(stage, fault) for fault in faults]
    return 0 if healthy and all(fired) else 1


def _start(folder: Path, running: ExitStack) -> Stage:
    """The stack on a small disk, with a little load, once Prometheus knows that it serves."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", disk], check=True)
    running.callback(lambda: subprocess.run(["umount", "--lazy", disk], check=True))
    if train_release(DEFAULT_DATASET, disk, "--epochs", "2", "--embedding-dim", "32", "--force") != 0:
        sys.exit("error: no release could be trained")
    stage = Stage(folder, disk)
    running.callback(stage.stop)
    stage.start_model_server()
    server, address = running.enter_context(
        recommender(disk, stage.model_server_address, folder / "recommender.log", **SETTINGS)
    )
    wait_until_serving(address)
    stage.supervisor, stage.address = server.process.pid, address
    metrics = str(server.events("supervising")[0]["metrics"])
    stage.prometheus = running.enter_context(prometheus(metrics, folder))
    running.enter_context(Load(address, disk, callers=2, pause_s=0.1))
    wait_for(lambda: stage.prometheus.query("recommender_active_release > 0"), "Prometheus has scraped", LIMIT_S)
    return stage


def _healthy(stage: Stage, seconds: float) -> bool:
    """Whether no alert fires for so long."""
    until, seen = time.monotonic() + seconds, set[str]()
    while time.monotonic() < until:
        seen |= stage.prometheus.firing()
        time.sleep(1)
    print(f"healthy for {seconds:.0f} s: {', '.join(sorted(seen)) or 'no alert fired'}", flush=True)
    return not seen


def _play(stage: Stage, fault: Fault) -> bool:
    """Break something, wait for its alert, and repair it. Returns whether the alert fired in time."""
    with ExitStack() as broken:
        seen = broken.enter_context(fault.during(stage)) or stage.prometheus
        start = time.monotonic()
        while fault.alert not in seen.firing() and time.monotonic() - start < LIMIT_S:
            time.sleep(0.5)
        took_s = time.monotonic() - start
        fired = fault.alert in seen.firing()
        others = sorted(seen.firing() - {fault.alert})
        runbook = seen.runbook(fault.alert)
    after = f"{took_s:.0f} s" if fired else "never"
    also = f" (also: {', '.join(others)})" if others else ""
    print(f"{fault.name:<22}{fault.alert:<32}{after:>7}   {runbook}{also}", flush=True)
    try:
        wait_for(lambda: stage.prometheus.firing() <= {"RecommenderWorkerReplaced"}, "alerts have ended", RECOVERY_S)
    except TimeoutError:
        print(f"still firing after {RECOVERY_S:.0f} s: {', '.join(sorted(stage.prometheus.firing()))}", flush=True)
        return False
    return fired


if __name__ == "__main__":
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"
    sys.exit(main(sys.argv[1:]))
