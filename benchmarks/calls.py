"""What calls cost, as ratios to an empty echo of the same answer: the cases, and rounds in which they take turns."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.figures import Figure, Goal, figure
from benchmarks.loads import Costs, Load, Target, measure
from benchmarks.releases import ANNOY, CHEAPEST, heaviest_user, newest, rare_genre
from benchmarks.support import SERVER_CORE, SERVICE, on_cores, predict_request
from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.release import Release
from tools.processes import served
from tools.servers import recommender, wait_until_serving

MANY, ALONE = "32 calls in flight: CPU of the server", "One client: median latency"
CALLS, CALLS_ALONE, IN_FLIGHT, LIMIT, BATCH = 2_000, 400, 32, 10, 50
RECOMMEND, BATCH_RECOMMEND, SIMILAR_MOVIES = (SERVICE + rpc for rpc in ("Recommend", "BatchRecommend", "SimilarMovies"))
PREDICT = "/tensorflow.serving.PredictionService/Predict"
COLD, TUTORIAL, MODELS, ECHO = "cold", "tutorial", "models", "echo"
"""Servers beside those with the releases ANNOY and CHEAPEST, which answer from the cache."""


@dataclass(frozen=True)
class Case:
    """A load on a server, compared with an echo.  goal: of the ratio."""

    name: str
    server: str
    load: Load
    goal: float | None = None

    @property
    def echo_load(self) -> Load:
        """The load that makes the echo give as many answers: this one, or Recommend where the echo lacks the method."""
        if self.load.method in (RECOMMEND, SIMILAR_MOVIES):
            return self.load
        calls, in_flight = self.load.calls * self.load.answers, 1 if self.load.in_flight == 1 else IN_FLIGHT
        return Load(RECOMMEND, [_recommend(user_id=0)], calls, in_flight)


def cases(release: Release) -> list[Case]:
    """Many clients at once.  release: any of the two; both know the same users and movies."""
    user_ids = _users_with_likes(release)
    heaviest, watched = heaviest_user(release)
    genre = rare_genre(release)
    users = _load([_recommend(user_id=user_id) for user_id in user_ids])
    narrow = _load([_recommend(user_id=user_id, filter=api.MovieFilter(genres=[genre])) for user_id in user_ids])
    starts = range(0, len(user_ids) - BATCH + 1, BATCH)
    batches = [_batch(user_ids[start : start + BATCH]) for start in starts]
    batch = Load(BATCH_RECOMMEND, batches, CALLS // BATCH, in_flight=4, answers=BATCH)
    trained = release.movie_ids[: release.num_trained_movies].tolist()
    similar = Load(SIMILAR_MOVIES, [_similar(movie_id) for movie_id in trained], CALLS, IN_FLIGHT)
    return [
        Case("Recommend from the cache, --index annoy", ANNOY, users, 1.5),
        Case("Recommend from the cache, --index cheapest", CHEAPEST, users, 1.3),
        Case("Recommend without the cache", COLD, users, 1.8),
        Case("SimilarMovies", ANNOY, similar, 1.3),
        Case(f"BatchRecommend, each of {BATCH} users, --index annoy", ANNOY, batch, 0.4),
        Case(f"BatchRecommend, each of {BATCH} users, --index cheapest", CHEAPEST, batch, 0.4),
        Case(f"Recommend, only {genre}", ANNOY, narrow, 1.8),
        Case(f"Recommend, a user with {watched:,} watched movies", ANNOY, _load([_recommend(user_id=heaviest)]), 1.8),
        Case("a plain service: a Predict for each call, angular Annoy", TUTORIAL, users),
    ]


def cases_alone(release: Release) -> list[Case]:
    """A single client, who waits for each answer; the ratios are of median latencies."""
    user_ids = _users_with_likes(release)
    alone = Load(RECOMMEND, [_recommend(user_id=user_id) for user_id in user_ids], CALLS_ALONE, in_flight=1)
    predicts = [predict_request("serving_default", "user_id", np.array([user_id])) for user_id in user_ids]
    predict = replace(alone, method=PREDICT, requests=[request.SerializeToString() for request in predicts])
    return [
        Case("Recommend from the cache, --index annoy", ANNOY, alone, 1.5),
        Case("Recommend from the cache, --index cheapest", CHEAPEST, alone, 1.5),
        Case("Recommend without the cache", COLD, alone, 2.5),
        Case("a Predict, which the line above includes", MODELS, predict),
        Case("a plain service: a Predict for each call, angular Annoy", TUTORIAL, alone),
    ]


@contextmanager
def servers(artifacts: Mapping[str, Path], models: Mapping[str, Target], logs: Path) -> Iterator[dict[str, Target]]:
    """Every server of the cases, SERVING, on a core of its own.

    artifacts, models: by index, the artifacts folder and the model server with its models.
    """
    targets = {MODELS: models[ANNOY]}
    with ExitStack() as stack:
        for name, index, cache_size in ((ANNOY, ANNOY, 100_000), (CHEAPEST, CHEAPEST, 100_000), (COLD, ANNOY, 0)):
            log = logs / f"{name}.log"
            with on_cores(SERVER_CORE):
                starting = recommender(artifacts[index], models[index].address, log, USER_CACHE_SIZE=str(cache_size))
                targets[name] = Target(*stack.enter_context(starting))
            wait_until_serving(targets[name].address)
        release = newest(artifacts[ANNOY])
        answers = [f"{rpc}={answer.hex()}" for rpc, answer in _answers(targets[ANNOY].address, release).items()]
        for name, arguments in (
            (ECHO, answers),
            (TUTORIAL, [str(artifacts[ANNOY] / "releases" / str(release.version)), models[ANNOY].address]),
        ):
            command = [sys.executable, "-m", f"benchmarks.{name}_server", *arguments]
            with on_cores(SERVER_CORE):
                server = stack.enter_context(served(command, logs / f"{name}.log", {}))
            targets[name] = Target(server, server.wait_for_line(rf"{name} at (\S+)")[1])
        yield targets


def measure_rounds(
    targets: Mapping[str, Target], section: str, of_section: Sequence[Case], rounds: int
) -> Iterator[Figure]:
    """Yield the figure of each case. In every round each case follows an echo of its own; a first round warms up."""
    costs: dict[str, list[tuple[Costs, Costs]]] = defaultdict(list)
    for number in range(rounds + 1):
        for case in of_section:
            echo, ours = measure(targets[ECHO], case.echo_load), measure(targets[case.server], case.load)
            if number:
                costs[case.name].append((ours, echo))
    for case in of_section:
        pairs, alone = costs[case.name], case.load.in_flight == 1
        yield figure(
            section,
            case.name,
            [ours.p50 / echo.p50 if alone else ours.cpu / echo.cpu for ours, echo in pairs],
            "× echo",
            None if case.goal is None else Goal(case.goal),
            cpu_us=[ours.cpu for ours, _ in pairs],
            echo_cpu_us=[echo.cpu for _, echo in pairs],
            wall_us=[ours.wall for ours, _ in pairs],
            echo_wall_us=[echo.wall for _, echo in pairs],
            p50_us=[ours.p50 for ours, _ in pairs],
            echo_p50_us=[echo.p50 for _, echo in pairs],
        )


def _users_with_likes(release: Release) -> list[int]:
    ids: list[int] = release.watched.user_ids[release.watched.has_likes].tolist()
    return ids


def _load(requests: Sequence[bytes]) -> Load:
    return Load(RECOMMEND, requests, CALLS, IN_FLIGHT)


def _recommend(**fields: object) -> bytes:
    return api.RecommendRequest(limit=LIMIT, **fields).SerializeToString()  # type: ignore[arg-type]


def _similar(movie_id: int) -> bytes:
    return api.SimilarMoviesRequest(movie_id=movie_id, limit=LIMIT).SerializeToString()


def _batch(user_ids: Sequence[int]) -> bytes:
    requests = [api.RecommendRequest(user_id=user_id, limit=LIMIT) for user_id in user_ids]
    return api.BatchRecommendRequest(requests=requests).SerializeToString()


def _answers(address: str, release: Release) -> dict[str, bytes]:
    """Serialized answers of the recommender at that address, by RPC."""
    requests = {
        "Recommend": _recommend(user_id=_users_with_likes(release)[0]),
        "SimilarMovies": _similar(int(release.movie_ids[0])),
    }
    with grpc.insecure_channel(address) as channel:
        calls: dict[str, Any] = {rpc: channel.unary_unary(SERVICE + rpc) for rpc in requests}
        return {rpc: calls[rpc](request, timeout=30) for rpc, request in requests.items()}
