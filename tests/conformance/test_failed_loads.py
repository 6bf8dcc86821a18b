"""A version that cannot load leaves the one before it serving, and reports an error. Warm-up is a part of a load."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import get_model_status_pb2, prediction_log_pb2

from recommender_service.model_server import ModelServer, ModelServerError
from tests.conformance.moving import KEEP_TWO, Moving, State
from tests.conformance.requests import status
from tests.support.saved_models import warmup_record, write_warmup
from tools.processes import wait_for

INVALID_ARGUMENT, NOT_FOUND, OUT_OF_RANGE, UNIMPLEMENTED, DATA_LOSS = 3, 5, 11, 12, 15


def truncate_graph(folder: Path) -> None:
    graph = folder / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:-1000])


def replace_graph_by_a_word(folder: Path) -> None:
    (folder / "saved_model.pb").write_bytes(b"nonsense")


def replace_graph_by_much_text(folder: Path) -> None:
    (folder / "saved_model.pb").write_bytes(b"nonsense" * 1000)


def delete_graph(folder: Path) -> None:
    (folder / "saved_model.pb").unlink()


def add_failing_warmup(folder: Path) -> None:
    write_warmup(folder, warmup_record(1), warmup_record(5000))


def add_corrupt_warmup(folder: Path) -> None:
    write_warmup(folder, warmup_record(1))
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)


def add_other_warmup(folder: Path) -> None:
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.request.model_spec.name = "user"
    write_warmup(folder, log.SerializeToString())


def add_unparsable_warmup(folder: Path) -> None:
    write_warmup(folder, b"\xff\xff")


def add_too_much_warmup(folder: Path) -> None:
    write_warmup(folder, *([warmup_record(1)] * 1001))


DAMAGES: list[tuple[Callable[[Path], None], int, bytes]] = [
    (truncate_graph, OUT_OF_RANGE, b"Read less bytes than requested"),
    (replace_graph_by_a_word, OUT_OF_RANGE, b"Read less bytes than requested"),
    (replace_graph_by_much_text, DATA_LOSS, b"saved_model.pb"),
    (delete_graph, NOT_FOUND, b""),
    (add_failing_warmup, INVALID_ARGUMENT, b"indices[0] = 5000 is not in [0, 10)"),
    (add_corrupt_warmup, DATA_LOSS, b"Please verify your warmup data is in TFRecord format."),
    (add_unparsable_warmup, INVALID_ARGUMENT, b"Failed to parse warmup record: \xff\xff"),
    (add_too_much_warmup, INVALID_ARGUMENT, b"Number of warmup records exceeds the maximum (1000)"),
    (add_other_warmup, UNIMPLEMENTED, b"Unsupported log_type for warmup"),
]


def test_a_failed_version_reports_why_and_the_old_one_serves(moving: Moving) -> None:
    """Every damage has its code and message in the version's status, and version 1 goes on serving."""
    moving.publish(1)
    moving.serve()
    for version, (damage, code, message) in enumerate(DAMAGES, start=2):
        moving.publish(version, damage, like="2")
        ended = moving.wait_for(version, State.END)
        assert (ended.status.error_code, message in ended.status.error_message) == (code, True), ended
        assert moving.predict() == 1


def test_an_error_text_that_is_not_utf8_hides_no_version(moving: Moving) -> None:
    """TensorFlow's own Python class cannot read such a response; the recommender still sees what is AVAILABLE."""
    moving.publish(1)
    moving.serve()
    moving.publish(2, add_unparsable_warmup)
    moving.wait_for(2, State.END)
    with pytest.raises(DecodeError):
        get_model_status_pb2.GetModelStatusResponse.FromString(moving.target.status_bytes(status(moving.name)))

    async def ask() -> set[int] | None:
        model_server = ModelServer(moving.target.address)
        try:
            with suppress(ModelServerError):  # the recommender gives up a server that stalls for some seconds
                return await model_server.available_versions(moving.name, timeout_s=10)
            return None
        finally:
            await model_server.close()

    wait_for(lambda: asyncio.run(ask()) == {1}, "the recommender sees that version 1 is AVAILABLE")


@pytest.mark.parametrize(
    "records",
    [[], [b""], [warmup_record(1, model="another")], [warmup_record(1)] * 1000],
    ids=["an empty file", "an empty record", "another model's name", "1,000 records"],
)
def test_unusual_warmup_files_do_not_stop_a_load(moving: Moving, records: list[bytes]) -> None:
    """A version with such a warm-up file serves."""
    moving.publish(1, lambda folder: write_warmup(folder, *records))
    moving.serve()
    assert moving.predict() == 1


def fail_then_repair(moving: Moving, policy: str) -> None:
    """Version 1 serves and 2 fails; then 2 is repaired in place, deleted, and published again."""
    moving.publish(1)
    moving.serve(policy)
    moving.publish(2, replace_graph_by_a_word)
    moving.wait_for(2, State.END)
    shutil.copy(moving.folder / "spare" / "2" / "saved_model.pb", moving.base / "2")
    moving.wait_polls()
    assert moving.statuses()[2].state == State.END
    shutil.rmtree(moving.base / "2")
    moving.serve(policy)  # our stand-in looks at the folder before it answers, however busy it is
    moving.wait_polls()  # a real server may not
    moving.publish(2)


def test_a_failed_version_stays_failed_under_the_default_policy(moving: Moving) -> None:
    """The same number is not tried again, even if its folder was gone in between; the next number is."""
    fail_then_repair(moving, policy="")
    moving.wait_polls()
    assert moving.statuses()[2].state == State.END
    assert moving.predict() == 1
    moving.publish(3)
    moving.wait_for(3, State.AVAILABLE)
    assert moving.predict() == 3


def test_a_failed_version_is_tried_again_if_two_are_kept(moving: Moving) -> None:
    """Under `num_versions: 2` a failed number loads once its folder was gone and has come back."""
    fail_then_repair(moving, KEEP_TWO)
    moving.wait_for(2, State.AVAILABLE)
    assert moving.predict() == 2
