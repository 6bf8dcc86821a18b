"""A version that cannot load leaves the one before it serving, and says why."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorflow_serving.apis import prediction_log_pb2

from tests.model_server.folders import POLL_S, State, publish, save_versions, serving
from tests.support.saved_models import warmup_record, write_warmup

INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED, DATA_LOSS = 3, 5, 12, 15


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("versions")
    save_versions(folder)
    return folder


def _corrupt_graph(folder: Path) -> None:
    (folder / "saved_model.pb").write_bytes(b"nonsense")


def _without_graph(folder: Path) -> None:
    (folder / "saved_model.pb").unlink()


def _failing_warmup(folder: Path) -> None:
    write_warmup(folder, warmup_record(1), warmup_record(5000))


def _corrupt_warmup(folder: Path) -> None:
    write_warmup(folder, warmup_record(1))
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)


def _other_warmup(folder: Path) -> None:
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.request.model_spec.name = "lookup"
    write_warmup(folder, log.SerializeToString())


def _too_much_warmup(folder: Path) -> None:
    write_warmup(folder, *([warmup_record(1)] * 1001))


def test_versions_that_cannot_load_end_with_their_errors_and_the_old_one_serves(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    publish(versions, base, 1, lambda folder: write_warmup(folder, warmup_record(1), b""))
    damages = [
        (_corrupt_graph, DATA_LOSS, "saved_model.pb"),
        (_without_graph, NOT_FOUND, "does not exist"),
        (_failing_warmup, INVALID_ARGUMENT, "indices[0] = 5000 is not in [0, 10)"),
        (_corrupt_warmup, DATA_LOSS, "Please verify your warmup data is in TFRecord format."),
        (_too_much_warmup, INVALID_ARGUMENT, "Number of warmup records exceeds the maximum (1000)"),
        (_other_warmup, UNIMPLEMENTED, "Unsupported log_type for warmup"),
    ]
    with serving(base) as (_, client):
        for version, (damage, code, message) in enumerate(damages, start=2):
            publish(versions, base, version, damage, like=2)
            status = client.wait_for(version, State.END)
            assert (status.status.error_code, message in status.status.error_message) == (code, True), status
            assert client.predict() == 1


def test_a_failed_number_is_tried_again_only_after_its_folder_was_gone(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    publish(versions, base, 1)
    with serving(base) as (_, client):
        publish(versions, base, 2, _corrupt_graph)
        client.wait_for(2, State.END)
        shutil.copy(versions / "2" / "saved_model.pb", base / "2")
        time.sleep(3 * POLL_S)
        assert client.statuses()[2].state == State.END
        shutil.rmtree(base / "2")
        time.sleep(3 * POLL_S)
        publish(versions, base, 2)
        client.wait_for(2, State.AVAILABLE)
        assert client.predict() == 2


def test_a_failed_load_is_retried_and_says_no_more_than_loading_meanwhile(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    publish(versions, base, 1)
    with serving(base, "--max_num_load_retries=100", "--load_retry_interval_micros=200000") as (server, client):
        publish(versions, base, 2, _corrupt_graph)
        server.wait_for_line("98 retries left")
        status = client.wait_for(2, State.LOADING)
        assert (status.status.error_code, status.status.error_message, client.predict()) == (0, "", 1)
        shutil.copy(versions / "2" / "saved_model.pb", base / "2")
        client.wait_for(1, State.END)
        assert client.predict() == 2


def test_a_first_version_that_cannot_load_ends_the_process(versions: Path, tmp_path: Path) -> None:
    base = tmp_path / "lookup"
    publish(versions, base, 1, _corrupt_graph)
    command = [sys.executable, "-m", "serving", "--port=0", f"--model_base_path={base}", "--max_num_load_retries=0"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert "cannot load default version 1" in run.stderr
