"""The whole path in one go: data, training, release, model server, recommender, real calls, stop."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

import grpc
import pandas as pd
from google.protobuf import json_format

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from protos.release.v1 import manifest_pb2
from recommender_service.client.table import format_table, movie_table, shorten
from tools.stack import StackError, running_stack, train_release
from trainer.data.dataset import Dataset
from trainer.data.movielens import CACHE, find_dataset
from trainer.data.sample import generate

COLUMN = 44  # characters of a title
LINES = 8


def main(argv: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__)
    parser.add_argument("--dataset", default="ml-latest-small")
    arguments = parser.parse_args(argv)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="movie-recommender-demo-") as scratch:
        artifacts = Path(scratch)
        _say("1. Train, evaluate, publish a release")
        status = train_release(arguments.dataset, artifacts)
        if status != 0:
            return status
        _say("2. Start the model server and the recommender")
        try:
            with running_stack(artifacts) as stack, grpc.insecure_channel(stack.recommender) as channel:
                print(f"model server  {stack.model_server}  {stack.model_server_kind}")
                print(f"recommender   {stack.recommender}")
                _show(recommender_pb2_grpc.RecommenderServiceStub(channel), _dataset(arguments.dataset, artifacts))
        except StackError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    _say(f"Done in {time.monotonic() - started:.0f} s. `make serve` keeps the stack up for calls of your own.")
    return 0


def _show(recommender: recommender_pb2_grpc.RecommenderServiceStub, dataset: Dataset) -> None:
    _say("3. Recommend: what three users like, and what they are offered")
    ratings = dataset.ratings.merge(dataset.movies[["movie_id", "title"]], on="movie_id")
    counts = ratings["user_id"].value_counts()
    for user_id in (int(counts.index[i]) for i in (len(counts) // 5, len(counts) // 2, len(counts) - 1)):
        response = recommender.Recommend(api.RecommendRequest(user_id=user_id, limit=LINES), timeout=10)
        _side_by_side(user_id, _favourites(ratings[ratings["user_id"] == user_id]), response)

    _say("4. SimilarMovies: the neighbours of two popular movies")
    popular = [int(movie_id) for movie_id in ratings["movie_id"].value_counts().index]
    for movie_id in (popular[0], popular[9]):
        similar = recommender.SimilarMovies(api.SimilarMoviesRequest(movie_id=movie_id, limit=5), timeout=10)
        print(f"\n{similar.movie.title}")
        print(movie_table(similar.movies))

    _say("5. SearchMovies, then Recommend: somebody new names two movies, misspelt, and wants to know why")
    liked = [_find(recommender, ratings, movie_id) for movie_id in (popular[4], popular[14])]
    genre, year = liked[0].genres[0], liked[0].year - 10
    request = api.RecommendRequest(
        liked_movie_ids=[movie.movie_id for movie in liked],
        limit=5,
        filter=api.MovieFilter(genres=[genre], min_year=year),
        explain=True,
    )
    response = recommender.Recommend(request, timeout=10)
    print(f"\n{api.Source.Name(response.source)}, only {genre} since {year}")
    print(movie_table(response.movies))

    _say("6. BatchRecommend: three users at once, one of them unknown, and a request that is wrong")
    newcomer = int(ratings["user_id"].max()) + 1
    user_ids = [int(counts.index[0]), int(counts.index[1]), newcomer, -1]
    batch = api.BatchRecommendRequest(requests=[api.RecommendRequest(user_id=user, limit=2) for user in user_ids])
    rows = []
    for user, result in zip(user_ids, recommender.BatchRecommend(batch, timeout=10).results, strict=True):
        titles = "; ".join(shorten(scored.movie.title, COLUMN) for scored in result.response.movies)
        rows.append([str(user), titles or f"error {result.error.code}: {result.error.message}"])
        rows[-1].insert(1, api.Source.Name(result.response.source) if titles else "")
    print("\n" + format_table(["user", "source", "answer"], rows, right_aligned=(0,)))

    _say("7. GetServingStatus: what is served")
    status = recommender.GetServingStatus(api.GetServingStatusRequest(), timeout=10)
    metrics = ", ".join(f"{name} {value:.3f}" for name, value in sorted(status.metrics.items()))
    print(f"\nrelease {status.release}, trained on {status.dataset} ({metrics})")
    print(f"model server {status.model_server.address}, versions {list(status.model_server.available_versions)}")


def _find(recommender: recommender_pb2_grpc.RecommenderServiceStub, ratings: pd.DataFrame, movie_id: int) -> api.Movie:
    """The movie as found by a careless version of its title."""
    title = str(ratings.loc[ratings["movie_id"] == movie_id, "title"].iloc[0])
    words = re.findall(r"\w+", title.partition("(")[0].lower())
    longest = max(words, key=len)
    query = " ".join(word if word != longest else word[:-2] + word[-1] for word in words)
    found = recommender.SearchMovies(api.SearchMoviesRequest(query=query, limit=1), timeout=10).movies[0]
    print(f"{query!r} is found to be {found.title}, movie {found.movie_id}")
    return found


def _favourites(rated: pd.DataFrame) -> list[str]:
    """Titles of the best rated movies, the latest first among equals."""
    return [str(title) for title in rated.sort_values(["rating", "timestamp"], ascending=False)["title"].head(LINES)]


def _side_by_side(user_id: int, favourites: list[str], response: api.RecommendResponse) -> None:
    offered = [(f"{scored.score:.3f}", shorten(scored.movie.title, COLUMN)) for scored in response.movies]
    liked = [shorten(title, COLUMN) for title in favourites]
    liked += [""] * (len(offered) - len(liked))
    print(f"\nuser {user_id}: {api.Source.Name(response.source)}, release {response.release}")
    rows = [[like, score, title] for like, (score, title) in zip(liked, offered, strict=False)]
    print(format_table(["likes", "score", "is offered"], rows))


def _dataset(name: str, artifacts: Path) -> Dataset:
    """What the release was trained on, to show what users like."""
    (path,) = artifacts.glob("releases/*/manifest.json")
    manifest = json_format.Parse(path.read_text(encoding="utf-8"), manifest_pb2.Manifest())
    return generate() if manifest.dataset.generated else find_dataset(name, None, CACHE)


def _say(line: str) -> None:
    print(f"\n\033[1m{line}\033[0m" if sys.stdout.isatty() else f"\n{line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
