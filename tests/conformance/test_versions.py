"""Versions come and go as their folders do, and no call fails meanwhile."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import numpy as np
import pytest

from tests.conformance.moving import KEEP_TWO, Moving, State
from tests.conformance.prepared import models_config
from tests.conformance.requests import FLOAT, ids, predict, tensor
from tests.conformance.target import Target
from tools.processes import wait_for
from trainer.model.parts import Parts
from trainer.model.user_tower import UserTower, save_user_tower

pytestmark = pytest.mark.slow


@contextmanager
def calling(call: Callable[[], int], callers: int = 4) -> Iterator[list[int]]:
    """Make calls from some threads, all through the block; yields the list of answers.  Fails if a call fails."""
    answers: list[int] = []
    failures: list[Exception] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                answers.append(call())
            except (grpc.RpcError, AssertionError) as failure:
                failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


@pytest.mark.parametrize(("policy", "pinned"), [("", None), (KEEP_TWO, 1)], ids=["unpinned", "pinned, two kept"])
def test_a_new_version_arrives_without_a_failed_call(moving: Moving, policy: str, pinned: int | None) -> None:
    """Callers get the old version or the new one at any time; a pinned version answers on if it is kept."""
    moving.publish(1)
    moving.serve(policy)
    with calling(lambda: moving.predict(pinned)) as answers:
        wait_for(lambda: answers, "version 1 answers")
        moving.publish(2)
        moving.wait_for(2, State.AVAILABLE)
        if pinned is None:
            moving.wait_for(1, State.END)
            wait_for(lambda: 2 in answers, "version 2 answers")
    assert set(answers) == ({1, 2} if pinned is None else {pinned})
    assert moving.predict() == 2
    if pinned is None:
        gone = moving.target.outcome(predict(ids(1), moving.name, version=1))
        assert gone[:2] == ("NOT_FOUND", f"Servable not found for request: Specific({moving.name}, 1)")


def test_num_versions_2_keeps_the_newest_two(moving: Moving) -> None:
    """Version 1 goes when version 3 arrives."""
    for version in (1, 2):
        moving.publish(version)
    moving.serve(KEEP_TWO)
    moving.wait_for(1, State.AVAILABLE)
    assert (moving.predict(), moving.predict(version=1), moving.predict(version=2)) == (2, 1, 2)
    moving.publish(3)
    moving.wait_for(1, State.END)
    moving.wait_for(3, State.AVAILABLE)  # while 2 is available, 1 may go before 3 has come
    assert (moving.predict(), moving.predict(version=2)) == (3, 2)
    assert list(moving.statuses()) == [3, 2, 1]


def test_deleting_a_version_brings_back_the_one_before(moving: Moving) -> None:
    """A missing base path, however, unloads nothing."""
    for version in (1, 2):
        moving.publish(version)
    moving.serve()
    elsewhere = moving.base.with_name(f"{moving.name}-elsewhere")
    moving.base.rename(elsewhere)
    moving.wait_polls()
    assert moving.predict() == 2
    elsewhere.rename(moving.base)
    shutil.rmtree(moving.base / "2")
    moving.wait_for(2, State.END)
    assert moving.predict() == 1


def test_only_the_specified_versions_are_served(moving: Moving) -> None:
    """Other versions, files, and folders with other names are ignored; a name may have leading zeros."""
    for version in (1, 2, 3):
        moving.publish(version)
    (moving.base / "3").rename(moving.base / "0003")
    (moving.base / "temporary").mkdir()
    (moving.base / "4").write_text("not a folder")
    moving.serve("model_version_policy { specific { versions: 1 versions: 3 } }")
    moving.wait_for(1, State.AVAILABLE)
    assert sorted(moving.statuses()) == [1, 3]
    assert moving.predict() == 3


def test_our_model_and_a_foreign_one_reload_under_load(moving: Moving, target: Target) -> None:
    """No call to either model fails while versions and configurations change.

    Our model has int64 ids as inputs, and warm-up requests. The foreign one takes floats of any rank, and was written
    by TensorFlow 1.
    """
    foreign = Moving(target, moving.folder, f"{moving.name}-foreign")
    foreign.base.mkdir()
    for version in (1, 2):
        save_tower(moving, version)
        foreign.publish(version, like="half_plus_two")
    table = models_config(moving.folder)
    both = [*table, moving.config(KEEP_TWO), foreign.config(KEEP_TWO)]
    target.reload(*both)

    def call() -> int:
        vector = target.call(predict(ids(1), moving.name)).outputs["user_embedding"].float_val
        assert list(vector) == [1, 0]
        for shape, values in (([], [4]), ([2], [1, 2]), ([1, 2, 1], [0, -2])):
            x = tensor(FLOAT, shape, float_val=values)
            answer = target.call(predict({"x": x}, foreign.name)).outputs["y"]
            assert [dim.size for dim in answer.tensor_shape.dim] == shape
            assert list(answer.float_val) == [value / 2 + 2 for value in values]
        return 1

    with calling(call, callers=3) as answers:
        for version in (3, 4):
            save_tower(moving, version)
            foreign.publish(version, like="half_plus_two")
            moving.wait_for(version, State.AVAILABLE)
            foreign.wait_for(version, State.AVAILABLE)
            target.reload(*reversed(both))
        target.reload(*table, moving.config(), foreign.config("model_version_policy { all {} }"))
        moving.wait_for(3, State.END)
        foreign.wait_for(1, State.AVAILABLE)
        wait_for(lambda: len(answers) > 10, "calls are answered")
    target.reload(*table)
    shutil.rmtree(foreign.base)


def save_tower(moving: Moving, version: int) -> None:
    """Publish a model of the trainer's: user 1 likes movie 5, and both have the embedding (1, 0)."""
    vector = np.array([[1, 0]], np.float32)
    tower = UserTower(np.array([1]), vector, np.array([5]), 0.1, Parts.of_tastes(vector))
    staged = moving.base / f".staging-{version}"
    save_user_tower(tower, moving.name, staged, np.array([1]), [np.array([5])])
    staged.rename(moving.base / str(version))
