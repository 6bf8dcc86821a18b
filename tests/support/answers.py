"""What a caller sees of an answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import grpc

from protos.recommender.v1.recommender_pb2 import (
    BatchRecommendResponse,
    RecommendRequest,
    RecommendResponse,
    SimilarMoviesResponse,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tools.processes import wait_for

Answer = TypeVar("Answer")
Recommended = TypeVar("Recommended", RecommendResponse, BatchRecommendResponse)

STALLED = re.compile(
    r"the model server at \S+ (does not answer|did not answer|gave no embedding: (UNAVAILABLE|DEADLINE_EXCEEDED): )"
)
"""Why answers may be degraded on a busy machine: the model server stalls. A swap would lead to NOT_FOUND."""


def movie_ids(response: RecommendResponse | SimilarMoviesResponse) -> list[int]:
    """The ids of the movies in an answer, in its order."""
    return [scored.movie.movie_id for scored in response.movies]


def wait_until_left_out(
    movies: set[int],
    stubs: Sequence[RecommenderServiceStub],
    recommend: Callable[[RecommenderServiceStub], RecommendResponse],
) -> None:
    """Return once no stub's answer holds any of the movies, and print how long that took."""
    listed = ", ".join(map(str, sorted(movies)))
    took = wait_for(
        lambda: not any(movies & set(movie_ids(recommend(stub))) for stub in stubs), f"movies {listed} are left out"
    )
    print(f"movies {listed} were left out after {took:.2f} s")


def first_answer(ask: Callable[[], Answer], suits: Callable[[Answer], object], what: str) -> Answer:
    """Ask over and over, and return the first answer that suits.  what: that is, in words.

    Raises TimeoutError, which tells the last answer, if none suits in time.
    """
    answers: list[Answer] = []

    def is_found() -> bool:
        answers.append(ask())
        return bool(suits(answers[-1]))

    try:
        wait_for(is_found, what)
    except TimeoutError as error:
        raise TimeoutError(f"{error}; the last answer: {answers[-1]}") from error
    return answers[-1]


def first_success(ask: Callable[[], Answer], what: str, seconds: float = 60) -> Answer:
    """Ask over and over, and return the first answer; errors of gRPC are none.  what: that one comes, in words.

    Raises TimeoutError if none comes in time.
    """
    answers: list[Answer] = []

    def is_answered() -> bool:
        with suppress(grpc.RpcError):
            answers.append(ask())
        return bool(answers)

    wait_for(is_answered, what, seconds)
    return answers[0]


def is_degraded(answer: RecommendResponse | BatchRecommendResponse) -> bool:
    """Whether the answer, or a result of the batch, is degraded."""
    if isinstance(answer, BatchRecommendResponse):
        return any(result.response.degraded_reason for result in answer.results)
    return bool(answer.degraded_reason)


def undegraded(ask: Callable[[], Recommended]) -> Recommended:
    """The first answer that is not degraded.

    On a busy machine the model server may stall for seconds. The recommender then drops its connection for a moment.
    """
    return first_answer(ask, lambda answer: not is_degraded(answer), "an answer is not degraded")


def answer_in_a_hurry(stub: RecommenderServiceStub, request: RecommendRequest) -> RecommendResponse:
    """The answer to a call of which Predict hangs. On a busy machine some such calls may miss their deadline."""
    return first_success(lambda: stub.Recommend(request, timeout=10), "a call is answered before its deadline")
