"""What an overloaded recommender does: goodput and latency of the admitted calls, and how soon the rest are refused.

    make train && python -m benchmarks.overload

One worker, embeddings from the cache. `ghz` (https://ghz.sh, on the PATH) finds the peak with a closed loop, then
offers half of it and three times of it at fixed rates, in turn; medians over the rounds. It shares the cores.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.support import newest_release
from tests.support.processes import model_server, recommender, wait_until_serving

ROUNDS, SECONDS, CONNECTIONS = 3, 6, 4
DESCRIPTORS = Path(__file__).parents[1] / "protos" / "recommender" / "v1" / "recommender.binpb"


def main(argv: Sequence[str]) -> None:
    artifacts, release = newest_release(argv, __doc__)
    if shutil.which("ghz") is None:
        sys.exit("error: expected ghz on the PATH: go install github.com/bojand/ghz/cmd/ghz@latest")
    user_ids = np.load(release / "user_ids.npy")[:500].tolist()
    header = f"{'MAX_QUEUED_CALLS, load':<24}{'offered/s':>10}{'answered/s':>11}{'p50 ms':>8}{'p99 ms':>8}"
    print(f"{header}{'refused':>9}{'p99 ms':>8}")
    for max_queued_calls in (64, 8):
        rounds = _rounds(artifacts, user_ids, max_queued_calls)
        median = {
            load: {key: statistics.median(r[load][key] for r in rounds) for key in rounds[0][load]}
            for load in rounds[0]
        }
        for load, m in median.items():
            print(
                f"{max_queued_calls:>4}, {load:<18}{m['offered']:>10.0f}{m['goodput']:>11.0f}{m['p50']:>8.1f}"
                f"{m['p99']:>8.1f}{m['refused']:>9.0%}{m['refused_p99']:>8.1f}"
            )
        triple, half, peak = median["three times that"], median["half of that"], median["closed loop of 8"]
        print(
            f"      answered ÷ peak {triple['goodput'] / peak['goodput']:.2f}, "
            f"p99 ÷ p99 at half load {triple['p99'] / half['p99']:.1f}"
        )


def _rounds(artifacts: Path, user_ids: Sequence[int], max_queued_calls: int) -> list[dict[str, dict[str, float]]]:
    """Per round: load → figures."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        model_server(artifacts, Path(scratch) / "model_server.log") as (_, models),
        recommender(artifacts, models, Path(scratch) / "recommender.log", MAX_QUEUED_CALLS=str(max_queued_calls)) as (
            _,
            address,
        ),
    ):
        wait_until_serving(address)
        requests = Path(scratch) / "requests.json"
        requests.write_text(json.dumps([{"user_id": user_id, "limit": 10} for user_id in user_ids]))
        _load(address, requests, concurrency=8)  # fills the cache
        rounds = []
        for _ in range(ROUNDS):
            peak = _load(address, requests, concurrency=8)
            half = _load(address, requests, concurrency=200, rate=0.5 * peak["goodput"])
            triple = _load(address, requests, concurrency=400, rate=3 * peak["goodput"])
            rounds.append({"closed loop of 8": peak, "half of that": half, "three times that": triple})
        return rounds


def _load(address: str, requests: Path, concurrency: int, rate: float = 0) -> dict[str, float]:
    command = ["ghz", "--insecure", "--call", "recommender.v1.RecommenderService/Recommend"]
    command += ["--protoset", str(DESCRIPTORS), "--data-file", str(requests), "-O", "json"]
    command += ["-z", f"{SECONDS}s", "-c", str(concurrency), "--connections", str(CONNECTIONS)]
    if rate:
        command += ["--rps", str(round(rate))]
    report = json.loads(subprocess.run([*command, address], check=True, stdout=subprocess.PIPE).stdout)
    seconds = report["total"] / 1e9
    milliseconds: dict[str, list[float]] = {}
    for call in report["details"]:
        if "closing" not in call["error"]:  # those in flight when ghz's time is up
            milliseconds.setdefault(call["status"], []).append(call["latency"] / 1e6)
    if set(milliseconds) - {"OK", "Canceled"}:
        sys.exit(f"error: expected OK or Canceled, got {sorted(milliseconds)}")
    good, refused = milliseconds["OK"], milliseconds.get("Canceled", [])
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
