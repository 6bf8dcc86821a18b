"""The trainer from the command line, on a checkerboard: even users like even movies, odd users like odd movies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from annoy import AnnoyIndex
from google.protobuf import json_format
from scipy import sparse

from protos.release.v1 import manifest_pb2
from trainer.model.cosine_softmax import Embeddings
from trainer.model.newcomers import newcomer_embeddings
from trainer.model.parts import Parts, beside
from trainer.model.popularity import NUM_COMPONENTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NUM_USERS, NUM_MOVIES = 40, 30
SMALL = ["--embedding-dim=16", "--epochs=20", "--batch-size=16"]


def trainer(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "trainer", *arguments], capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def checkerboard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in which every user rates 16 movies: those of their own parity with 5 stars, the others with 1."""
    folder = tmp_path_factory.mktemp("checkerboard")
    rng = np.random.default_rng(0)
    lines = ["userId,movieId,rating,timestamp"]
    for user in range(1, NUM_USERS + 1):
        for at, movie in enumerate(rng.choice(np.arange(1, NUM_MOVIES + 1), 16, replace=False)):
            lines.append(f"{user},{movie},{5 if (user + movie) % 2 == 0 else 1},{at}")
    (folder / "ratings.csv").write_text("\n".join(lines) + "\n")
    titles = [f"{movie},Movie {movie} (2000),Drama" for movie in range(1, NUM_MOVIES + 1)]
    (folder / "movies.csv").write_text("movieId,title,genres\n" + "\n".join([*titles, "99,Unseen (2020),"]) + "\n")
    return folder


@pytest.fixture(scope="module")
def published(checkerboard: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts folder after one training run on the checkerboard."""
    artifacts = tmp_path_factory.mktemp("artifacts")
    run = trainer("--data", str(checkerboard), "--artifacts", str(artifacts), *SMALL)
    assert run.returncode == 0, run.stderr
    assert "recall@20" in run.stdout
    return artifacts


def only_release(artifacts: Path) -> tuple[Path, manifest_pb2.Manifest]:
    """Return the folder and the manifest of the one release."""
    (folder,) = (artifacts / "releases").iterdir()
    return folder, json_format.Parse((folder / "manifest.json").read_text(), manifest_pb2.Manifest())


def test_publishes_a_model_and_a_release_of_one_version(published: Path) -> None:
    """Training publishes both under one version, and the manifest counts what was rated and lists every file."""
    folder, manifest = only_release(published)
    (model,) = (published / "models" / "user_embedding").iterdir()
    assert folder.name == model.name == str(manifest.version)
    assert (model / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0
    assert (manifest.num_users, manifest.num_movies, manifest.num_trained_movies) == (
        NUM_USERS,
        NUM_MOVIES + 1,
        NUM_MOVIES,
    )
    assert manifest.num_ratings == NUM_USERS * 16
    assert {e.ranking for e in manifest.evaluations} == {"popularity", "exact", "index"}
    assert manifest.index.recommend.recall >= 0.99
    assert sorted(f.name for f in manifest.files) == sorted(
        p.name for p in folder.iterdir() if p.name != "manifest.json"
    )


def test_movies_of_the_users_parity_are_nearest(published: Path) -> None:
    """The ten movies nearest to a user in the index are all of the user's parity."""
    folder, manifest = only_release(published)
    index = AnnoyIndex(manifest.embedding_dim, "euclidean")
    index.load(str(folder / "movies.ann"))
    rows = [line.split(",")[0] for line in (folder / "movies.csv").read_text().splitlines()[1:]]
    for probe in manifest.probes[:-1]:
        nearest = index.get_nns_by_vector(list(probe.embedding), 10)
        assert {int(rows[row]) % 2 for row in nearest} == {probe.user_id % 2}


def test_the_saved_model_answers_users_and_liked_movies(published: Path) -> None:
    """The SavedModel returns the probes of the manifest for users, and folds in liked movies as the trainer does."""
    tf = pytest.importorskip("trainer.model.tensorflow_quietly").tf
    _, manifest = only_release(published)
    (folder,) = (published / "models" / "user_embedding").iterdir()
    model = tf.saved_model.load(str(folder))
    probes = {p.user_id: np.array(p.embedding, np.float32) for p in manifest.probes}
    users = model.signatures["serving_default"](user_id=tf.constant(list(probes), tf.int64))["user_embedding"].numpy()
    np.testing.assert_allclose(users, np.stack(list(probes.values())), atol=1e-6)
    assert not probes[-1].any()

    likes = tf.constant([[2, 4, 6], [1, -1, -1], [99, 12345, -1]], tf.int64)  # 99 was never rated
    folded = model.signatures["fold_in"](movie_id=likes)["user_embedding"].numpy()
    np.testing.assert_allclose(np.linalg.norm(folded, axis=1), [1, 1, 0], atol=1e-5)
    rows = pd.read_csv(only_release(published)[0] / "movies.csv")["movie_id"].tolist()
    places = [rows.index(movie) for movie in (2, 4, 6, 1)]
    history = sparse.csr_matrix((np.ones(4, np.float32), places, [0, 3, 4]), shape=(2, NUM_MOVIES))
    movies = np.load(only_release(published)[0] / "embeddings.npy")
    tastes, order, axes = (getattr(model, name).numpy() for name in ("_tastes", "_order", "_axes"))
    lengths = np.linalg.norm(beside(tastes, order) @ axes, axis=1) / np.linalg.norm(movies[:, NUM_COMPONENTS:], axis=1)
    component = float(np.abs(lengths * movies[:, 0]).max())  # of the most and of the least popular movie
    parts = Parts(tastes, order, axes, component)
    embeddings = Embeddings(users, movies, manifest.hyperparameters.temperature, parts)
    np.testing.assert_allclose(folded[:2], newcomer_embeddings(history, embeddings), atol=1e-5)
    even_user = next(v for k, v in probes.items() if k and k % 2 == 0)
    assert folded[0] @ even_user > 0.5 > folded[1] @ even_user


def test_the_same_seed_gives_the_same_release(checkerboard: Path, published: Path, tmp_path: Path) -> None:
    """Two runs on the same data with the same seed write the same bytes."""
    assert trainer("--data", str(checkerboard), "--artifacts", str(tmp_path), *SMALL).returncode == 0
    first, second = only_release(published)[0], only_release(tmp_path)[0]
    for name in ("embeddings.npy", "movies.ann", "movies.csv", "watched_rows.npy"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_evaluates_a_given_split_with_sparse_ids(tmp_path: Path) -> None:
    """`evaluate` scores two given files, whose ids may be large, and counts users that the training part lacks."""

    def write(name: str, rows: list[str]) -> str:
        (tmp_path / name).write_text("userId,movieId,rating\n" + "\n".join(rows) + "\n")
        return str(tmp_path / name)

    far = 10**12
    train = [
        f"{far * u},{7 * far + m * 1000},5" for u in range(1, 21) for m in range(1, 20) if (u + m) % 2 == 0 and m % 5
    ]
    test = [f"{far * u},{7 * far + m * 1000},5" for u in range(1, 21) for m in (5, 10, 15) if (u + m) % 2 == 0]
    train += [f"{far * 50},{7 * far + m * 1000},5" for m in (5, 10, 15)]
    test += [f"{far * 99},{7 * far + 1000},5"]  # a user that the training part lacks
    figures = tmp_path / "figures.json"
    run = trainer(
        "evaluate",
        "--train",
        write("t.csv", train),
        "--test",
        write("e.csv", test),
        "--json",
        str(figures),
        "-k",
        "3",
        *SMALL,
    )
    assert run.returncode == 0, run.stderr
    evaluation = json.loads(figures.read_text())
    assert evaluation["num_users"] == 21
    assert evaluation["num_unknown_users"] == 1
    exact = next(e for e in evaluation["evaluations"] if e["ranking"] == "exact")
    assert set(exact["metrics"]) == {"recall@3", "ndcg@3", "hit_rate@10", "coverage@10"}
    assert "recall@3" in run.stdout


def test_bad_data_are_refused_with_their_line(checkerboard: Path, tmp_path: Path) -> None:
    """A malformed rating ends the run with its file, line and column, and nothing is published."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "movies.csv").write_text((checkerboard / "movies.csv").read_text())
    (broken / "ratings.csv").write_text((checkerboard / "ratings.csv").read_text() + "1,1,seven,3\n")
    run = trainer("--data", str(broken), "--artifacts", str(tmp_path / "artifacts"))
    assert run.returncode == 1
    assert f"ratings.csv:{NUM_USERS * 16 + 2}: rating: expected a number, got 'seven'" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "artifacts" / "releases").exists()


def test_data_without_likes_are_refused(checkerboard: Path, tmp_path: Path) -> None:
    """If no rating reaches the positive threshold, the run ends with an error and nothing is published."""
    run = trainer("--data", str(checkerboard), "--artifacts", str(tmp_path / "artifacts"), "--positive-threshold=6")
    assert run.returncode == 1
    assert "error: expected some rating of at least 6, got none" in run.stderr
    assert not (tmp_path / "artifacts" / "releases").exists()


def test_wrong_flags_end_with_usage(tmp_path: Path) -> None:
    """A wrong flag ends the run with status 2 and says what was expected."""
    run = trainer("--epochs=0")
    assert run.returncode == 2
    assert "--epochs: expected a whole number from 1 to 2,147,483,647, got '0'" in run.stderr
