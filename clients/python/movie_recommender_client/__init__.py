"""A client of a movie recommender.

    from movie_recommender_client import Recommender

    with Recommender("localhost:50051") as recommender:
        for scored in recommender.recommend(418, limit=5).movies:
            print(scored.movie.title)

`AsyncRecommender` has the same methods for asyncio. The messages are those of `movie_recommender_client.v1`.
"""

from movie_recommender_client.asynchronous import AsyncRecommender
from movie_recommender_client.connection import Tls
from movie_recommender_client.errors import RecommenderError
from movie_recommender_client.synchronous import Recommender

__all__ = ["AsyncRecommender", "Recommender", "RecommenderError", "Tls"]
