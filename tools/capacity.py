"""How many replicas, cores and how much memory a load needs: `python -m tools.capacity --users 1000000 …`.

The coefficients were measured (docs/benchmarks.md); docs/scaling.md says what the model leaves out.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass

MEASURED_DIM = 256  # the dimensions of all measurements below

# CPU of a recommender for one Recommend, microseconds.
ANSWER_US = 191.0  # 321 from the cache less 130 of its search
MISS_US = 69.0  # 390 without the cache less 321
SEARCH_US = {10_000: 234.0, 60_000: 466.0}  # through Annoy, as calibrated, by movies
SEARCH_FIXED = 0.43  # share that dimensions do not change: at 64 of them, a search takes 81 µs less of some 190
PREDICT_US = 150.0  # CPU of TensorFlow Serving for a Predict of one user

# Memory of a recommender, bytes.
PROCESS_BYTES = 40e6
CATALOGUE_BYTES = 2_308  # private, a movie: titles, genres, years
VECTOR_BYTES = 17.0  # sealed, a movie and dimension: embeddings, the vectors of similar movies, an index of each
CONTENT_BYTES = 2_800  # sealed, a movie: genres and titles in the vectors of similar movies, lists of these
RATING_BYTES = 6  # the row, whether it was liked, and how old it is: dtypes of the release's files
USER_BYTES = 16  # id and where the ratings begin
MODEL_SERVER_BYTES = 377e6  # TensorFlow Serving with a small model

# How deploy/k8s runs them.
CACHED_USERS = 10_000  # USER_CACHE_SIZE
UTILISATION = 0.7  # at which the autoscalers add replicas
MODEL_VERSIONS = 3  # two are kept, and one is loading
MIN_REPLICAS = 2
SPARE_REPLICAS = 1
HOURS_OF_A_MONTH = 730


@dataclass(frozen=True)
class Demand:
    """What is to be served.  calls_per_second: of Recommend, at the peak."""

    users: int
    calls_per_second: float
    movies: int
    dimensions: int
    ratings_per_user: int


@dataclass(frozen=True)
class Servers:
    """Replicas of one kind, which request a core each.  memory_gib: that each of them needs."""

    replicas: int
    memory_gib: float


def search_us(movies: int, dimensions: int) -> float:
    """CPU of one search: it grows with a power of the movies."""
    (few, fast), (many, slow) = SEARCH_US.items()
    exponent = math.log(slow / fast) / math.log(many / few)
    return float(fast * (movies / few) ** exponent * (SEARCH_FIXED + (1 - SEARCH_FIXED) * dimensions / MEASURED_DIM))


def misses(demand: Demand) -> float:
    """Share of calls whose user is not in the cache, if every user calls equally often. That is the worst case."""
    return max(0.0, 1.0 - CACHED_USERS / demand.users)


def call_us(demand: Demand, missing: float) -> float:
    """CPU of a recommender for one Recommend.  missing: share of calls whose user is not in the cache."""
    return ANSWER_US + missing * MISS_US + search_us(demand.movies, demand.dimensions)


def release_bytes(demand: Demand) -> float:
    """Memory that one release takes in a recommender with one worker."""
    movies = demand.movies * (CATALOGUE_BYTES + CONTENT_BYTES + VECTOR_BYTES * demand.dimensions)
    return movies + demand.users * (USER_BYTES + RATING_BYTES * demand.ratings_per_user)


def recommenders(demand: Demand) -> Servers:
    """With one worker each, which uses one core. The release before stays in memory, for calls that name it."""
    cores = demand.calls_per_second * call_us(demand, misses(demand)) / 1e6
    return Servers(_replicas(cores), (PROCESS_BYTES + 2 * release_bytes(demand)) / 2**30)


def model_servers(demand: Demand) -> Servers:
    """Return the model servers that are needed if each miss is a Predict of its own, which is an upper bound."""
    cores = demand.calls_per_second * misses(demand) * PREDICT_US / 1e6
    table = (demand.users + demand.movies) * (4 * demand.dimensions + 8)
    memory = MODEL_SERVER_BYTES + MODEL_VERSIONS * table
    return Servers(_replicas(cores), memory / 2**30)


def _replicas(cores: float) -> int:
    """Replicas that do the work of so many busy cores."""
    return max(MIN_REPLICAS, math.ceil(cores / UTILISATION) + SPARE_REPLICAS)


def monthly_cost(servers: Servers, per_core_hour: float, per_gib_hour: float) -> float:
    """What the replicas cost in a month, in the money of the prices."""
    return servers.replicas * (per_core_hour + servers.memory_gib * per_gib_hour) * HOURS_OF_A_MONTH


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.capacity", description=__doc__)
    parser.add_argument("--users", type=_positive, required=True)
    parser.add_argument("--calls-per-second", type=_positive, required=True, help="calls of Recommend at the peak")
    parser.add_argument("--movies", type=_positive, required=True)
    parser.add_argument("--dimensions", type=_positive, default=MEASURED_DIM)
    parser.add_argument("--ratings-per-user", type=_positive, default=165, help="165: that of ml-latest-small")
    parser.add_argument("--per-core-hour", type=float, metavar="PRICE", help="with the next one, adds costs")
    parser.add_argument("--per-gib-hour", type=float, metavar="PRICE")
    flags = vars(parser.parse_args(argv))
    per_core, per_gib = flags.pop("per_core_hour"), flags.pop("per_gib_hour")
    if (per_core is None) != (per_gib is None):
        parser.error("--per-core-hour and --per-gib-hour: expected both or neither, got one")
    demand = Demand(**flags)
    rows = {"recommender": recommenders(demand), "tf-serving": model_servers(demand)}
    print("             replicas  GiB each  cores  GiB" + ("" if per_core is None else "  cost a month"))
    for name, servers in rows.items():
        cost = "" if per_core is None else f"{monthly_cost(servers, per_core, per_gib):14,.0f}"
        memory = servers.replicas * servers.memory_gib
        print(f"{name:11}{servers.replicas:10}{servers.memory_gib:10.2f}{servers.replicas:7}{memory:5.0f}{cost}")
    print(
        f"CPU of a Recommend: {call_us(demand, 0):.0f} µs from the cache, {call_us(demand, 1):.0f} µs without; "
        f"{misses(demand):.0%} of the calls miss the cache if all users call equally often"
    )
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text[:40]!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
