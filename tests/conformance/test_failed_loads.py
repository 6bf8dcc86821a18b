"""A version that cannot load leaves the one before it serving, and says why. Warm-up requests are part of a load."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorflow_serving.apis import prediction_log_pb2

from tests.conformance.moving import Moving, State
from tests.support.saved_models import warmup_record, write_warmup

INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED, DATA_LOSS = 3, 5, 12, 15


def corrupt_graph(folder: Path) -> None:
    (folder / "saved_model.pb").write_bytes(b"nonsense")


def without_graph(folder: Path) -> None:
    (folder / "saved_model.pb").unlink()


def failing_warmup(folder: Path) -> None:
    write_warmup(folder, warmup_record(1), warmup_record(5000))


def corrupt_warmup(folder: Path) -> None:
    write_warmup(folder, warmup_record(1))
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)


def other_warmup(folder: Path) -> None:
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.request.model_spec.name = "user"
    write_warmup(folder, log.SerializeToString())


def unparsable_warmup(folder: Path) -> None:
    write_warmup(folder, b"\xff\xff")


def too_much_warmup(folder: Path) -> None:
    write_warmup(folder, *([warmup_record(1)] * 1001))


DAMAGES: list[tuple[Callable[[Path], None], int, str]] = [
    (corrupt_graph, DATA_LOSS, "saved_model.pb"),
    (without_graph, NOT_FOUND, ""),
    (failing_warmup, INVALID_ARGUMENT, "indices[0] = 5000 is not in [0, 10)"),
    (corrupt_warmup, DATA_LOSS, "Please verify your warmup data is in TFRecord format."),
    (unparsable_warmup, INVALID_ARGUMENT, "Failed to parse warmup record"),
    (too_much_warmup, INVALID_ARGUMENT, "Number of warmup records exceeds the maximum (1000)"),
    (other_warmup, UNIMPLEMENTED, "Unsupported log_type for warmup"),
]


def test_versions_that_cannot_load_end_with_their_errors_and_the_old_one_serves(moving: Moving) -> None:
    moving.publish(1)
    moving.serve()
    for version, (damage, code, message) in enumerate(DAMAGES, start=2):
        moving.publish(version, damage, like="2")
        ended = moving.wait_for(version, State.END)
        assert (ended.status.error_code, message in ended.status.error_message) == (code, True), ended
        assert moving.predict() == 1


@pytest.mark.parametrize(
    "records",
    [[], [b""], [warmup_record(1, model="another")], [warmup_record(1)] * 1000],
    ids=["an empty file", "an empty record", "another model's name", "1,000 records"],
)
def test_what_warm_up_makes_nothing_of(moving: Moving, records: list[bytes]) -> None:
    moving.publish(1, lambda folder: write_warmup(folder, *records))
    moving.serve()
    assert moving.predict() == 1


def test_a_failed_number_is_tried_again_only_after_its_folder_was_gone(moving: Moving) -> None:
    moving.publish(1)
    moving.serve()
    moving.publish(2, corrupt_graph)
    moving.wait_for(2, State.END)
    shutil.copy(moving.folder / "spare" / "2" / "saved_model.pb", moving.base / "2")
    moving.wait_polls()
    assert moving.statuses()[2].state == State.END
    shutil.rmtree(moving.base / "2")
    moving.wait_polls()
    moving.publish(2)
    moving.wait_for(2, State.AVAILABLE)
    assert moving.predict() == 2
