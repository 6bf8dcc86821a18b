"""The gate: what a training run must show before it is published."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import json_format

from protos.release.v1 import manifest_pb2
from tests.support.tastes import SMALL, dataset_of, tastes
from trainer.model.hyperparameters import Hyperparameters
from trainer.release.catalogue import manifest_in
from trainer.release.errors import GateError
from trainer.training import train

pytestmark = pytest.mark.slow

BAD = Hyperparameters(embedding_dim=1, epochs=1, learning_rate=1e-9)  # all movies point the same way


def manifest_of(release: Path) -> manifest_pb2.Manifest:
    return json_format.Parse((release / "manifest.json").read_text(), manifest_pb2.Manifest())


def test_a_model_that_learned_nothing_is_not_published(tmp_path: Path) -> None:
    """The error names the figures, `force` publishes all the same, and a forced release does not lower the bar."""
    dataset = dataset_of(tastes(movies=200, users=80, each=30))
    good = train(dataset, 3.5, SMALL, tmp_path)
    assert not manifest_of(good).forced_despite
    with pytest.raises(GateError) as refused:
        train(dataset, 3.5, BAD, tmp_path)
    message = str(refused.value)
    assert message.startswith("not published: recall@20 is ")
    assert f"release {good.name} reached " in message
    assert message.endswith("(--force publishes all the same)")
    assert [folder.name for folder in (tmp_path / "releases").iterdir()] == [good.name]

    forced = train(dataset, 3.5, BAD, tmp_path, force=True)
    assert any("on the same split" in reason for reason in manifest_of(forced).forced_despite)
    with pytest.raises(GateError, match=f"release {good.name} reached"):  # the bar is the release that passed
        train(dataset, 3.5, BAD, tmp_path)


def test_releases_of_other_data_are_not_compared(tmp_path: Path) -> None:
    """A run is not refused for being worse than a release of another data set."""
    train(dataset_of(tastes(movies=200, users=80, each=30)), 3.5, SMALL, tmp_path)
    other = dataset_of(tastes(movies=60, users=30))
    changed = type(other)(other.name, other.ratings, other.movies, fingerprint="1" * 64)
    assert train(changed, 3.5, SMALL, tmp_path).is_dir()


def test_numbers_that_become_text_are_not_published(tmp_path: Path) -> None:
    """Text ids are refused where the newest release has numbers, before training, unless it is forced."""
    dataset = dataset_of(tastes())
    good = train(dataset, 3.5, SMALL, tmp_path)
    user_ids, positions = np.unique(dataset.ratings["user_id"], return_inverse=True)
    keys = np.array(sorted(f"user-{user_id:03d}" for user_id in user_ids), dtype=object)
    as_text = replace(dataset, ratings=dataset.ratings.assign(user_id=positions), user_keys=keys)
    with pytest.raises(GateError, match=f"user ids are text here and numbers in release {good.name}"):
        train(as_text, 3.5, SMALL, tmp_path)
    assert not (tmp_path / "keys").exists()
    assert manifest_of(train(as_text, 3.5, SMALL, tmp_path, force=True)).users_have_keys


def test_what_a_newer_trainer_added_to_a_manifest_is_ignored() -> None:
    """A trainer that was rolled back still reads the releases of the newer one, and compares itself with them."""
    manifest = manifest_in(b'{"version": "7", "something_newer": {"figures": [1, 2]}}')
    assert manifest is not None
    assert manifest.version == 7
    assert manifest_in(b'{"version": "seven"}') is None
