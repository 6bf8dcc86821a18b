"""What this repository is fast at and what not, in one table: `make bench`, or `python -m benchmarks`.

Writes table.md, results.json and plots into benchmarks/results/. It keeps what it trains in artifacts/bench/; the first
run takes some minutes more for that. Linux only. Each server that is measured has one core to itself; whoever calls it,
and the model server, have another. Other programs on the same cores change times more than ratios, because what is
compared takes turns, round by round.

TF_SERVING=/path/to/tensorflow_model_server takes the place of the stand-in. `pip install '.[benchmarks]'` installs the
libraries that are compared.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from benchmarks.calls import ALONE, ECHO, MANY, cases, cases_alone, measure_rounds, servers
from benchmarks.figures import Figure
from benchmarks.frontier import frontier
from benchmarks.loads import Target
from benchmarks.releases import ANNOY, CHEAPEST, newest, release_artifacts
from benchmarks.report import Results, write_report
from benchmarks.stalls import heavy_requests, stalls
from benchmarks.support import LOAD_CORE, on_cores
from benchmarks.trained_vectors import trained_vectors
from benchmarks.tutorial import measure_tutorial
from benchmarks.workers import measure_workers
from tools.processes import Server
from tools.servers import STAND_IN, free_port, model_server

ROUNDS = 7
CATALOGUES = (10_000, 60_000)  # movies
TRAINED, RESULTS = Path("artifacts/bench"), Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="the most are compared (default: %(default)s)")
    rounds: int = parser.parse_args().rounds
    folder = TRAINED.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    artifacts = {index: release_artifacts(folder, index) for index in (ANNOY, CHEAPEST)}
    vectors = [trained_vectors(num_movies, folder) for num_movies in CATALOGUES]
    figures = []
    for figure in _figures(artifacts, rounds):
        print(f"{figure.name}: {figure.as_text}", flush=True)
        figures.append(figure)
    points = [point for of_catalogue in vectors for point in frontier(of_catalogue)]
    program = os.environ.get("TF_SERVING", "the stand-in")
    manifest = newest(artifacts[ANNOY]).manifest
    release = f"{manifest.dataset.name}, {manifest.num_trained_movies:,} movies of {manifest.embedding_dim} dimensions"
    print(write_report(Results(program, release, rounds, figures, points), RESULTS))
    print(f"table and plots: {RESULTS}")


def _figures(artifacts: Mapping[str, Path], rounds: int) -> Iterator[Figure]:
    """Yield the figures of the service as they are measured."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack, on_cores(LOAD_CORE):
        logs = Path(scratch)
        models = {}
        for index, of_index in artifacts.items():
            models[index] = Target(*stack.enter_context(_model_server(of_index, logs / f"{index}-models.log")))
        release = newest(artifacts[ANNOY])
        many = cases(release)
        with servers(artifacts, models, logs) as targets:
            yield from measure_rounds(targets, MANY, many, rounds)
            yield from measure_tutorial(release, targets[ECHO], many[0].echo_load, rounds)
            yield from measure_rounds(targets, ALONE, cases_alone(release), rounds)
            yield from stalls(targets[ANNOY], heavy_requests(release))
        yield from measure_workers(artifacts[ANNOY], models[ANNOY].address, logs, list(many[0].load.requests), rounds)


def _model_server(artifacts: Path, log: Path) -> AbstractContextManager[tuple[Server, str]]:
    """Run the program that TF_SERVING names, or else the stand-in, with threads for the plain service's 32 calls."""
    threads = "--grpc_max_threads=64"
    if program := os.environ.get("TF_SERVING"):
        return model_server(artifacts, log, threads, port=free_port(), program=[program])
    return model_server(artifacts, log, threads, program=STAND_IN)


if __name__ == "__main__":
    main()
