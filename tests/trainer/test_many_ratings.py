"""What makes many ratings affordable changes no result, or only by chance and by little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import sparse

from benchmarks.generated_ratings import Size, ratings_in_blocks, write_ratings
from trainer.data.dataset import Dataset, read_folder
from trainer.data.interactions import interactions_of, rows_of
from trainer.data.order import grouped_order
from trainer.data.split import split
from trainer.evaluation.task import task_of
from trainer.model.partition import MAX_SCORED, Partition
from trainer.model.spectral_start import spectral_start
from trainer.model.vectors import unit_rows

SMALL = Size(num_users=300, num_movies=1_000, num_ratings=15_000)
NAMES = ["user_id", "movie_id", "rating", "timestamp"]


@pytest.fixture(scope="module")
def generated() -> pd.DataFrame:
    """Ratings with tastes, as `Dataset.ratings`."""
    blocks = zip(*ratings_in_blocks(SMALL), strict=True)
    return pd.DataFrame(dict(zip(NAMES, map(np.concatenate, blocks), strict=True)))


def read_in_groups(folder: Path, ratings: pd.DataFrame, rows_per_group: int, text_ids: bool) -> Dataset:
    """Write the ratings as Parquet in groups of so many rows, and read them."""
    table = pa.Table.from_pandas(ratings, preserve_index=False)
    if text_ids:
        table = table.set_column(0, "user_id", pa.array([f"U{user}" for user in ratings["user_id"]]))
    folder.mkdir()
    pq.write_table(table, folder / "ratings.parquet", row_group_size=rows_per_group)
    return read_folder(folder)


@pytest.mark.parametrize("text_ids", [False, True], ids=["numbers", "texts"])
def test_parquet_in_groups_reads_as_in_one(tmp_path: Path, generated: pd.DataFrame, text_ids: bool) -> None:
    """The same bytes, whatever the size of the groups that are read one after the other."""
    whole = read_in_groups(tmp_path / "whole", generated, len(generated), text_ids)
    in_groups = read_in_groups(tmp_path / "groups", generated, 1_000, text_ids)
    for name in NAMES:
        expected, got = whole.ratings[name].to_numpy(), in_groups.ratings[name].to_numpy()
        assert expected.dtype == got.dtype
        assert expected.tobytes() == got.tobytes()
    if whole.user_keys is None or in_groups.user_keys is None:
        assert not text_ids
    else:
        assert whole.user_keys.tolist() == in_groups.user_keys.tolist()


def test_parquet_and_csv_read_alike(tmp_path: Path, generated: pd.DataFrame) -> None:
    """Numbers that Parquet stores are what their texts say."""
    of_parquet = read_in_groups(tmp_path / "parquet", generated, 1_000, text_ids=False)
    (tmp_path / "csv").mkdir()
    generated.to_csv(tmp_path / "csv" / "ratings.csv", index=False)
    pd.testing.assert_frame_equal(of_parquet.ratings, read_folder(tmp_path / "csv").ratings)


def test_a_missing_number_in_parquet_is_refused_by_its_row(tmp_path: Path) -> None:
    """Rows are counted over all groups."""
    table = pa.table({"userId": pa.array([1.0, 2.0, 2.5]), "movieId": pa.array([1, 2, 3])})
    pq.write_table(table, tmp_path / "ratings.parquet", row_group_size=2)
    with pytest.raises(ValueError, match=r"row 3: userId: expected a whole id, got 2\.5"):
        read_folder(tmp_path)


@pytest.mark.parametrize("coarse", [False, True], ids=["seconds", "whole days"])
def test_the_split_in_blocks_is_that_in_one(
    generated: pd.DataFrame, coarse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users are sorted a block at a time, and what is grouped afterwards likewise."""
    ratings = generated.assign(timestamp=generated["timestamp"] // 864_000 * 864_000) if coarse else generated
    whole, known = split(ratings), interactions_of(ratings, 3.5)
    monkeypatch.setattr("trainer.data.order.BLOCK", 100)
    for part, expected in zip(split(ratings), whole, strict=True):
        pd.testing.assert_frame_equal(part, expected)
    assert interactions_of(ratings, 3.5).freshness.tobytes() == known.freshness.tobytes()


def test_wide_and_sparse_ids_split_and_group_like_dense_ones(generated: pd.DataFrame) -> None:
    """Tables by id and sorting are two ways to the same rows."""
    sparse_ids = generated.assign(user_id=generated["user_id"] * 10**12, movie_id=generated["movie_id"] * 10**9)
    for dense_part, sparse_part in zip(split(generated), split(sparse_ids), strict=True):
        assert (dense_part["movie_id"] * 10**9 == sparse_part["movie_id"]).all()
    dense, other = interactions_of(generated, 3.5), interactions_of(sparse_ids, 3.5)
    assert (dense.user_ids * 10**12 == other.user_ids).all()
    assert (dense.movie_ids * 10**9 == other.movie_ids).all()
    assert (dense.watched != other.watched).nnz == (dense.positives != other.positives).nnz == 0
    assert dense.freshness.tobytes() == other.freshness.tobytes()


def test_freshness_is_the_rank_of_the_time(generated: pd.DataFrame) -> None:
    """Ranks are those of pandas: equal times share the mean of their ranks."""
    days = generated.assign(timestamp=generated["timestamp"] // 864_000).sample(frac=1, random_state=0)
    known = interactions_of(days, 3.5)
    ranks = days.groupby("user_id")["timestamp"].rank(pct=True).to_numpy(np.float32)
    users, movies = (
        rows_of(known.user_ids, days["user_id"].to_numpy()),
        rows_of(known.movie_ids, days["movie_id"].to_numpy()),
    )
    assert known.freshness.tolist() == ranks[np.lexsort((movies, users))].tolist()


@pytest.mark.parametrize("factor", [1, 1 << 40], ids=["one key", "two keys"])
def test_grouped_order_is_stable(factor: int) -> None:
    """Also where both keys do not fit into one number, and below zero."""
    rng = np.random.default_rng(0)
    groups, values = rng.integers(-5, 5, 1_000) * factor, rng.integers(-9, 9, 1_000) * factor
    assert grouped_order(groups, values).tolist() == np.lexsort((values, groups)).tolist()


def test_a_sample_of_users_is_scored_without_bias(generated: pd.DataFrame) -> None:
    """Each sampled user scores as in the full task, and the mean lies within three standard errors of the full one."""
    train, test = split(generated)
    full, sampled = task_of(train, test, 3.5), task_of(train, test, 3.5, max_users=100)
    assert (len(sampled.user_ids), sampled.num_eligible, full.num_eligible) == (100, *[len(full.user_ids)] * 2)
    of_all, of_some = (task.scores(task.popularity_ranking(20), 20) for task in (full, sampled))
    at = rows_of(full.user_ids, sampled.user_ids)
    assert of_some.per_user["ndcg@20"].tolist() == of_all.per_user["ndcg@20"][at].tolist()
    error = of_some.standard_errors["ndcg@20"]
    assert abs(of_some.means["ndcg@20"] - of_all.means["ndcg@20"]) < 3 * error


def test_the_sampled_partition_has_nearly_the_full_gradient() -> None:
    """The expected movie under the softmax: over many draws within 3 % of the exact one, in one draw within 30 %."""
    rng = np.random.default_rng(0)
    num_movies = MAX_SCORED + 4_000
    movies = unit_rows(rng.standard_normal((num_movies, 16), np.float32) + 1)
    users = unit_rows(rng.standard_normal((8, 16), np.float32) + 1)
    logits = users @ movies.T / 0.15
    partition = Partition(np.arange(num_movies, 0, -1))
    draws = []
    for _ in range(60):
        candidates = partition.draw(rng)
        draws.append(expected_movie(logits[:, candidates.rows] + candidates.log_weights, movies[candidates.rows]))
    exact = expected_movie(logits, movies)
    length = np.linalg.norm(exact, axis=1)
    assert (np.linalg.norm(np.mean(draws, axis=0) - exact, axis=1) < 0.03 * length).all()
    assert (np.linalg.norm(draws - exact, axis=2) < 0.3 * length).all()


def expected_movie(logits: np.ndarray, movies: np.ndarray) -> np.ndarray:
    """float32[B, d]: the gradient of the log of the partition function by users / temperature."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected: np.ndarray = weights @ movies / weights.sum(axis=1, keepdims=True)
    return expected


def test_the_start_from_a_sample_of_users_keeps_the_tastes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Movies that the same half of the users watched point the same way, and those of different halves do not."""
    monkeypatch.setattr("trainer.model.spectral_start.MAX_ENTRIES", 2_000)
    rng = np.random.default_rng(0)
    watched = rng.random((400, 60)) < np.where(np.arange(400)[:, None] % 2 == np.arange(60) % 2, 0.5, 0.02)
    movies = spectral_start(sparse.csr_matrix(watched, dtype=np.float32), 2, rng)
    cosines = movies @ movies.T
    assert cosines[::2, ::2].mean() > cosines[::2, 1::2].mean() + 0.5


def test_generated_ratings_have_the_geometry_of_real_ones(tmp_path: Path) -> None:
    """A seed gives the same bytes again; a tenth of the movies has many ratings, and some users rate many more."""
    num_ratings = write_ratings(tmp_path / "one", SMALL)
    assert num_ratings == write_ratings(tmp_path / "other", SMALL) == len(read_folder(tmp_path / "one").ratings)
    one, other = (tmp_path / name / "ratings.parquet" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    ratings = pq.read_table(one).to_pandas()
    by_movie = np.sort(ratings.groupby("movieId").size().to_numpy())[::-1]
    by_user = ratings.groupby("userId").size()
    assert by_movie[: SMALL.num_movies // 10].sum() > 0.3 * num_ratings
    assert by_user.quantile(0.9) > 3 * by_user.quantile(0.1)
    assert not ratings.duplicated(["userId", "movieId"]).any()
