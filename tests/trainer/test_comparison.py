"""Baselines and similarity metrics, on data in which even users like even movies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.tastes import SMALL, dataset_of, tastes
from trainer.data.split import split
from trainer.evaluation.baselines import ease_weights, item_knn
from trainer.evaluation.comparison import compare, compare_similar_movies, paired_difference
from trainer.evaluation.evaluate import evaluate, fit_to
from trainer.evaluation.similarity_metrics import franchise_hit_rate, franchise_of, pm_hit_rate
from trainer.evaluation.task import Task, task_of
from trainer.model.similar_movies import similar_movie_vectors


@pytest.fixture(scope="module")
def task() -> Task:
    return task_of(*split(dataset_of(tastes(users=120, movies=120, each=40)).ratings), 3.5)


@pytest.mark.slow
def test_models_that_learn_beat_popularity(task: Task) -> None:
    """Every model that learns has a higher recall than popularity, and their differences are paired by user."""
    evaluations = [evaluate(task, replace(SMALL, seed=seed), k=5)[0] for seed in range(2)]
    entries = {entry.name: entry for entry in compare(task, evaluations)}
    assert {"popularity", "item-kNN (cosine)", "EASE", "this model, through the index"} <= set(entries)
    popularity, ours = entries["popularity"], entries["this model, through the index"]
    for name in ("item-kNN (cosine)", "EASE", "this model, through the index"):
        assert entries[name].scores.means["recall@5"] > popularity.scores.means["recall@5"]
    mean, error = paired_difference(popularity, ours, "recall@5")
    assert mean == pytest.approx(popularity.scores.means["recall@5"] - ours.scores.means["recall@5"])
    assert 0 < error < -mean


def test_item_knn_recommends_movies_of_the_users_parity(task: Task) -> None:
    """Nearly all its recommendations to even users are even movies, and to odd users odd movies."""
    ranked = item_knn(task, 10)
    movies = task.known.movie_ids[ranked]
    assert ((movies % 2) == (task.user_ids % 2)[:, None]).mean() > 0.95


def test_ease_gives_a_movie_no_weight_for_itself(task: Task) -> None:
    """The diagonal of the weights of EASE is zero."""
    assert not np.diag(ease_weights(task.known.positives)).any()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Star Wars: Episode IV - A New Hope (1977)", "star wars"),
        ("Godfather: Part II, The (1974)", "godfather"),
        ("Matrix Reloaded, The (2003)", "matrix reloaded"),
        ("Rocky III (1982)", "rocky"),
        ("Toy Story 2 (1999)", "toy story"),
        ("Harry Potter and the Goblet of Fire (2005)", "harry potter"),
        ("1984 (1984)", ""),
    ],
)
def test_franchises_are_recognised_by_title(title: str, name: str) -> None:
    """Titles of one franchise have the same name after year, article, number and subtitle are removed."""
    assert franchise_of(title) == name


@pytest.mark.slow
def test_similarity_metrics_tell_good_vectors_from_bad(task: Task) -> None:
    """Vectors by parity beat vectors by number, and vectors by franchise beat random ones."""
    dataset = dataset_of(tastes(users=120, movies=120, each=40))
    train, test = split(dataset.ratings)
    trained = task.known.movie_ids[: task.known.num_trained_movies]
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.random((len(trained), 2), np.float32)
    by_parity = np.stack([trained % 2 == 0, trained % 2 == 1], axis=1).astype(np.float32) + noise
    by_halves = np.stack([trained < 60, trained >= 60], axis=1).astype(np.float32) + noise
    assert pm_hit_rate(by_parity, task, train, test) > 1.5 * pm_hit_rate(by_halves, task, train, test)
    fours = trained // 4
    names = ["saga " + "".join(chr(ord("a") + int(digit)) for digit in f"{four:03d}") for four in fours]
    titles = [f"{name} {number}" for number, name in enumerate(names)]
    assert franchise_hit_rate(np.eye(31)[fours], task, titles) == 1.0
    assert franchise_hit_rate(rng.normal(size=(len(trained), 60)), task, titles) < 0.8
    figures = compare_similar_movies(task, fit_to(task, SMALL), train, test, dataset.movies)
    assert set(figures) == {"item-kNN (cosine)", "EASE", "learned embeddings", "similar_movies.npy"}


def test_unrated_movies_are_alike_by_what_they_are() -> None:
    """Movies without an embedding get a vector from genres, year and title, and zeros if nothing is known."""
    years, genres = [0, 0, 1999, 1999, 1950, 0], ["", "", "War", "War", "Drama", ""]
    table = dataset_of(tastes()).movies.head(6).assign(year=years, genres=genres)
    vectors = similar_movie_vectors(np.eye(2, 8, dtype=np.float32), np.zeros((2, 0), np.float32), table)
    assert np.linalg.norm(vectors[:5], axis=1) == pytest.approx([1, 1, 1, 1, 1], abs=1e-5)
    assert not vectors[5].any()  # neither genre nor year is known
    assert vectors[2] @ vectors[3] == pytest.approx(1, abs=1e-5)
    assert vectors[2] @ vectors[4] < 0.1
