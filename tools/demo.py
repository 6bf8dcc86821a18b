"""Train and publish a release, start the model server and the recommender, call every RPC, and stop."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from google.protobuf import json_format

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub as Recommender
from protos.release.v1 import manifest_pb2
from recommender_service.client.channel import connect
from recommender_service.client.table import format_table, movie_table, shorten
from tools.processes import ServerError
from tools.stack import running_stack, train_release
from trainer.data.dataset import Dataset
from trainer.data.movielens import CACHE, DEFAULT_DATASET, find_dataset
from trainer.data.sample import generate

COLUMN = 44  # longest title in a table, in characters
LINES = 8  # movies per table


def main(argv: list[str]) -> int:
    """Returns the exit status: 0, 1 if a server does not start, or the trainer's."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__)
    parser.add_argument("--dataset", default=DEFAULT_DATASET)
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
            with running_stack(artifacts) as stack, connect(stack.recommender) as channel:
                print(f"model server  {stack.model_server}  {stack.model_server_kind}")
                print(f"recommender   {stack.recommender}")
                _show(Recommender(channel), _dataset(arguments.dataset, artifacts))
        except ServerError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    _say(f"Done in {time.monotonic() - started:.0f} s. `make serve` keeps the stack up for calls of your own.")
    return 0


def _show(recommender: Recommender, dataset: Dataset) -> None:
    """Call every RPC, for users and movies of the dataset."""
    ratings = dataset.ratings.merge(dataset.movies[["movie_id", "title"]], on="movie_id")
    popular = [int(movie_id) for movie_id in ratings["movie_id"].value_counts().index]
    active = [int(user_id) for user_id in ratings["user_id"].value_counts().index]
    _say("3. Recommend: what three users like, and what they are offered")
    _show_recommend(recommender, ratings, [active[len(active) // 5], active[len(active) // 2], active[-1]])
    _say("4. SimilarMovies: the neighbours of two popular movies")
    _show_similar_movies(recommender, [popular[0], popular[9]])
    _say("5. SearchMovies, then Recommend: somebody new names two movies, misspelt, and wants to know why")
    titles = [str(ratings.loc[ratings["movie_id"] == popular[i], "title"].iloc[0]) for i in (4, 14)]
    _show_newcomer(recommender, titles)
    _say("6. BatchRecommend: three users at once, one of them unknown, and a request that is wrong")
    _show_batch(recommender, [active[0], active[1], max(active) + 1, -1])
    _say("7. RecordEvents: somebody new watches what is popular, hides the next one, and likes one of the list")
    _show_events(recommender, max(active) + 1, popular[4])
    _say("8. GetServingStatus: what is served")
    _show_status(recommender)


def _show_recommend(recommender: Recommender, ratings: pd.DataFrame, user_ids: Sequence[int]) -> None:
    for user_id in user_ids:
        response = recommender.Recommend(api.RecommendRequest(user_id=user_id, limit=LINES), timeout=10)
        rated = ratings[ratings["user_id"] == user_id].sort_values(["rating", "timestamp"], ascending=False)
        liked = [shorten(str(title), COLUMN) for title in rated["title"].head(LINES)]
        liked += [""] * (LINES - len(liked))
        offered = [[f"{scored.score:.3f}", shorten(scored.movie.title, COLUMN)] for scored in response.movies]
        print(f"\nuser {user_id}: {api.Source.Name(response.source)}, release {response.release}")
        rows = [[like, *offer] for like, offer in zip(liked, offered, strict=False)]
        print(format_table(["likes", "score", "is offered"], rows))


def _show_similar_movies(recommender: Recommender, movie_ids: Sequence[int]) -> None:
    for movie_id in movie_ids:
        similar = recommender.SimilarMovies(api.SimilarMoviesRequest(movie_id=movie_id, limit=5), timeout=10)
        print(f"\n{similar.movie.title}")
        print(movie_table(similar.movies))


def _show_newcomer(recommender: Recommender, titles: Sequence[str]) -> None:
    """Find the movies by misspelt titles, then recommend to a user of whom only these likes are known."""
    liked = [_find(recommender, _misspelt(title)) for title in titles]
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


def _find(recommender: Recommender, query: str) -> api.Movie:
    found = recommender.SearchMovies(api.SearchMoviesRequest(query=query, limit=1), timeout=10).movies[0]
    print(f"{query!r} is found to be {found.title}, movie {found.movie_id}")
    return found


def _misspelt(title: str) -> str:
    """The title in lower case without its year, and without the last letter but one of its longest word."""
    words = re.findall(r"\w+", title.partition("(")[0].lower())
    longest = max(words, key=len)
    return " ".join(word if word != longest else word[:-2] + word[-1] for word in words)


def _show_batch(recommender: Recommender, user_ids: Sequence[int]) -> None:
    batch = api.BatchRecommendRequest(requests=[api.RecommendRequest(user_id=user, limit=2) for user in user_ids])
    rows = []
    for user_id, result in zip(user_ids, recommender.BatchRecommend(batch, timeout=10).results, strict=True):
        if result.HasField("error"):
            source, answer = "", f"error {result.error.code}: {result.error.message}"
        else:
            source = api.Source.Name(result.response.source)
            answer = "; ".join(shorten(scored.movie.title, COLUMN) for scored in result.response.movies)
        rows.append([str(user_id), source, answer])
    print("\n" + format_table(["user", "source", "answer"], rows, right_aligned=(0,)))


def _show_events(recommender: Recommender, user_id: int, liked: int) -> None:
    """Record events of a user whom the release does not know, and show how the next answer changes."""
    before = recommender.Recommend(api.RecommendRequest(user_id=user_id, limit=5), timeout=10).movies
    done = [(before[0], api.EVENT_KIND_WATCHED), (before[1], api.EVENT_KIND_HIDDEN)]
    events = [
        api.Event(event_id=f"demo-{kind}", user_id=user_id, movie_id=scored.movie.movie_id, kind=kind)
        for scored, kind in done
    ]
    events.append(api.Event(event_id="demo", user_id=user_id, movie_id=liked, kind=api.EVENT_KIND_RATED, rating=5))
    recorded = recommender.RecordEvents(api.RecordEventsRequest(events=events), timeout=10).recorded
    after = recommender.Recommend(api.RecommendRequest(user_id=user_id, limit=5, explain=True), timeout=10)
    print(f"\nbefore: {'; '.join(shorten(scored.movie.title, COLUMN) for scored in before)}")
    print(f"{recorded} events recorded; the next answer is {api.Source.Name(after.source)}")
    print(movie_table(after.movies))


def _show_status(recommender: Recommender) -> None:
    status = recommender.GetServingStatus(api.GetServingStatusRequest(), timeout=10)
    metrics = ", ".join(f"{name} {value:.3f}" for name, value in sorted(status.metrics.items()))
    print(f"\nrelease {status.release}, trained on {status.dataset} ({metrics})")
    print(f"model server {status.model_server.address}, versions {list(status.model_server.available_versions)}")


def _dataset(name: str, artifacts: Path) -> Dataset:
    """The dataset that the release was trained on: the generated sample if nothing could be downloaded."""
    (path,) = artifacts.glob("releases/*/manifest.json")
    manifest = json_format.Parse(path.read_text(encoding="utf-8"), manifest_pb2.Manifest())
    return generate() if manifest.dataset.generated else find_dataset(name, None, CACHE)


def _say(line: str) -> None:
    print(f"\n\033[1m{line}\033[0m" if sys.stdout.isatty() else f"\n{line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
