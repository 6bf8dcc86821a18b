"""Some users to begin with. The API has no list of users, but tells of each number whether it is a user's."""

from __future__ import annotations

from dataclasses import dataclass

from movie_recommender_client import AsyncRecommender
from movie_recommender_client.requests import recommend_request
from movie_recommender_client.v1 import recommender_pb2 as api

NUM_ASKED = 24
NUM_TITLES = 3


@dataclass(frozen=True)
class SampleUser:
    """A user of the release, and what the first recommendations are."""

    number: int
    answer: api.RecommendResponse

    @property
    def known(self) -> bool:
        """Whether the release knows what the user likes."""
        return self.answer.source != api.SOURCE_POPULAR


async def sample_users(recommender: AsyncRecommender, first: int) -> list[SampleUser]:
    """Ask for the users of the numbers from `first` on.  Raises RecommenderError.

    A user who is known by a key has a number too.
    """
    numbers = range(first, first + NUM_ASKED)
    answers = await recommender.recommend_to_many([recommend_request(number, limit=NUM_TITLES) for number in numbers])
    return [
        SampleUser(number, result.response)
        for number, result in zip(numbers, answers.results, strict=True)
        if result.WhichOneof("result") == "response"
    ]
