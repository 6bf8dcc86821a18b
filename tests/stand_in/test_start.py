"""The start of the stand-in: what it waits for, and what it refuses."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import grpc
import pytest
from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from protos.tfserving.v1.batching_parameters_pb2 import BatchingParameters
from protos.tfserving.v1.monitoring_config_pb2 import MonitoringConfig
from protos.tfserving.v1.ssl_config_pb2 import SslConfig
from serving.stand_in.flags import parse_flags
from tests.conformance.moving import Moving, State
from tests.conformance.prepared import model_config
from tests.conformance.requests import ids, predict
from tests.conformance.target import Target
from tests.support.saved_models import save_lookup
from tools.processes import START_TIMEOUT_S, served, wait_for

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[2] / "serving"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("models.config", model_server_config_pb2.ModelServerConfig),
        ("batching.config", BatchingParameters),
        ("monitoring.config", MonitoringConfig),
        ("ssl.config.example", SslConfig),
    ],
)
def test_the_shipped_configurations_parse(name: str, kind: type[Message]) -> None:
    """Every file in serving/ is a text proto of its class."""
    assert text_format.Parse((CONFIGS / name).read_text(), kind()).ByteSize() > 0


def test_docker_compose_has_only_known_flags() -> None:
    """TensorFlow Serving would ignore an unknown flag without an error."""
    flags = re.findall(r"^ +- (--\w+=\S+)", (CONFIGS.parent / "docker-compose.yml").read_text(), re.MULTILINE)
    settings, complaints = parse_flags(flags)
    assert (settings.port, settings.grpc_max_threads, settings.enable_grpc_healthcheck_service) == (8500, 64, True)
    assert complaints == ["without effect in this stand-in: --rest_api_num_threads"]


def test_the_port_opens_late_and_failed_loads_are_retried(tmp_path: Path) -> None:
    """The port opens once a version serves. During retries the version is LOADING, without an error text."""
    for version in (1, 2):
        save_lookup(tmp_path / "spare" / str(version), scale=version)
    base = tmp_path / "moving" / "user"
    command = [sys.executable, "-m", "serving", "--port=0", "--model_name=user", f"--model_base_path={base}"]
    command += ["--file_system_poll_wait_seconds=0.1", "--max_num_load_retries=1000"]
    with served([*command, "--load_retry_interval_micros=200000"], tmp_path / "log", {}) as server:
        server.wait_for_line("file system access error")
        assert "Running gRPC ModelServer" not in server.text()
        base.mkdir(parents=True)
        shutil.copytree(tmp_path / "spare" / "1", base / "staging").rename(base / "1")
        address = server.wait_for_line(r"Running gRPC ModelServer at (\S+) \.\.\.")[1]
        with grpc.insecure_channel(address) as channel:
            model = Moving(Target(address, channel, None, tmp_path, poll_s=0.1), tmp_path, "user")
            model.publish(2, lambda folder: (folder / "saved_model.pb").write_bytes(b"nonsense"))
            server.wait_for_line("998 retries left")
            status = model.wait_for(2, State.LOADING).status
            assert (status.error_code, status.error_message, model.predict()) == (0, b"", 1)
            shutil.copy(tmp_path / "spare" / "2" / "saved_model.pb", base / "2")
            model.wait_for(1, State.END)
            assert model.predict() == 2


def test_the_configuration_file_is_followed_if_asked_for(tmp_path: Path) -> None:
    """A bad file changes nothing and is logged; a good one replaces the models."""
    save_lookup(tmp_path / "models" / "1")
    path = tmp_path / "models.config"

    def configure(*names: str) -> None:
        staged = path.with_suffix(".staged")
        models = "".join(f"config {{ {model_config(name, tmp_path / 'models')} }}" for name in names)
        staged.write_text(f"model_config_list {{ {models} }}")
        staged.rename(path)

    configure("user")
    flags = ["--port=0", f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=0.1"]
    with served([sys.executable, "-m", "serving", *flags], tmp_path / "log", {}) as server:
        address = server.wait_for_line(r"Running gRPC ModelServer at (\S+) \.\.\.")[1]
        with grpc.insecure_channel(address) as channel:
            target = Target(address, channel, None, tmp_path, poll_s=0.1)
            configure("user", "user")
            server.wait_for_line("the configuration stays as it is: .*Illegal to list model user multiple times")
            assert target.outcome(predict(ids(1)))[0] == "OK"
            configure("other")
            wait_for(lambda: target.outcome(predict(ids(1), "other"))[0] == "OK", "the other model serves")
            assert target.outcome(predict(ids(1)))[0] == "NOT_FOUND"


def test_a_failed_first_load_ends_the_process(tmp_path: Path) -> None:
    """At start-up, a version that cannot load is a reason to stop."""
    (tmp_path / "1").mkdir()
    assert "cannot load default version 1" in refusal(f"--model_base_path={tmp_path}", "--max_num_load_retries=0")


def refusal(*flags: str) -> str:
    """The error output of a server that refuses to start; its status must be that of TensorFlow Serving."""
    command = [sys.executable, "-m", "serving", "--port=0", *flags]
    run = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S)
    assert run.returncode == 255
    return run.stderr


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (
            'model_platform: "tensorflow" version_labels { key: "stable" value: 1 }',
            "Request to assign label to version 1 of model user, which is not currently available for inference",
        ),
        ("", "nor ModelServerConfig::model_platform., model name is user"),
        ('model_platform: "torch"', "Model user requests unsupported platform torch"),
        ("nonsense: 1", 'Message type "tensorflow.serving.ModelConfig" has no field named "nonsense"'),
    ],
    ids=["labels without their flag", "no platform", "other platform", "no such field"],
)
def test_bad_model_configurations_are_refused(tmp_path: Path, config: str, complaint: str) -> None:
    """The process ends as the real server does."""
    path = tmp_path / "models.config"
    path.write_text(f'model_config_list {{ config {{ name: "user" base_path: "{tmp_path}" {config} }} }}')
    assert complaint in refusal(f"--model_config_file={path}")


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ("max_batch_size { value: 0 }", "max_batch_size: expected at least 1, got 0"),
        ("num_batch_threads { value: 0 }", "num_batch_threads: expected at least 1, got 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros: expected at least 0, got -1"),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 2 allowed_batch_sizes: 4",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 2 allowed_batch_sizes: 8",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        ("pad_variable_length_inputs: true", "pad_variable_length_inputs is not in this stand-in"),
        ("max_batch_sise { value: 8 }", 'has no field named "max_batch_sise"'),
    ],
)
def test_bad_batching_parameters_are_refused(tmp_path: Path, parameters: str, complaint: str) -> None:
    """The process ends, and says which parameter is wrong."""
    path = tmp_path / "batching.config"
    path.write_text(parameters)
    flags = (f"--model_base_path={tmp_path}", f"--batching_parameters_file={path}")
    assert complaint in refusal(*flags, "--enable_batching")
    assert "--batching_parameters_file is set without --enable_batching" in refusal(*flags)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (
            'server_key: "/key.pem" server_cert: "/cert.pem"',
            "server_key: expected PEM text, not a path, got '/key.pem'",
        ),
        (
            'server_key: "-----BEGIN " server_cert: "-----BEGIN " client_verify: true',
            "client_verify: expected a custom_ca to check clients against",
        ),
    ],
)
def test_a_bad_tls_configuration_is_refused(tmp_path: Path, config: str, complaint: str) -> None:
    """The process ends, and says which field is wrong."""
    path = tmp_path / "ssl.config"
    path.write_text(config)
    assert complaint in refusal(f"--model_base_path={tmp_path}", f"--ssl_config_file={path}")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ([], "error: expected --model_base_path or --model_config_file"),
        (["--model_base_path=/x", "--enable_model_warmup=perhaps"], "expected true or false, got 'perhaps'"),
        (["--model_base_path=/x", "--grpc_max_threads=0"], "expected a whole number from 1, got '0'"),
        (["--model_base_path=/x", "--port=65536"], "expected a whole number from 0 to 65535, got '65536'"),
        (["--model_base_path=/x", "--file_system_poll_wait_seconds=-1"], "expected seconds, 0 or more, got '-1'"),
        (["--model_base_path=/x", "--grpc_channel_arguments=a"], "expected key=value, comma-separated, got 'a'"),
        (["--model_base_path=/x", "--use_alts_credentials"], "--use_alts_credentials is not in this stand-in"),
        (
            ["--model_base_path=/x", *(f"--tensorflow_{n}_parallelism=1" for n in ("session", "intra_op", "inter_op"))],
            "got all three",
        ),
    ],
)
def test_a_wrong_flag_ends_the_process_with_one_line(flags: list[str], complaint: str) -> None:
    """The line says what was expected and what came."""
    said = refusal(*flags)
    assert complaint in said
    assert said.count("\n") == 1


def test_the_version_flag_prints_the_version() -> None:
    """The output says that this is the stand-in."""
    command = [sys.executable, "-m", "serving", "--version"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT_S)
    first = f"stand-in for TensorFlow ModelServer: movie-recommender {metadata.version('movie-recommender')}"
    assert (run.returncode, run.stdout.splitlines()[0]) == (0, first)
