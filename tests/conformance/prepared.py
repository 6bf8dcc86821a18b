"""The folder that the servers under test serve, and the flags that they are started with."""

from __future__ import annotations

from pathlib import Path

from tests.support.saved_models import save_half_plus_two, save_lookup, save_types, save_wait

METRICS = "/monitoring/prometheus/metrics"
LABELS = 'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }'
# A batch is so small that tests can fill it, and waits so long that calls made together meet in it on a busy machine.
BATCHING = """
max_batch_size { value: 8 }
batch_timeout_micros { value: 3000000 }
max_enqueued_batches { value: 2 }
num_batch_threads { value: 1 }
allowed_batch_sizes: 2
allowed_batch_sizes: 8
"""


def prepare(folder: Path) -> None:
    """Write the models to models/<name>/<version>, versions to publish to spare/, and the configurations."""
    save_lookup(folder / "models" / "user" / "1")
    save_lookup(folder / "models" / "user" / "2", scale=10)
    save_types(folder / "models" / "types" / "7")
    save_wait(folder / "models" / "wait" / "1")
    for version in (1, 2, 3):
        save_lookup(folder / "spare" / str(version), scale=version)
    save_half_plus_two(folder / "spare" / "half_plus_two")
    models = "".join(f"config {{ {config} }}\n" for config in models_config(folder, with_labels=False))
    (folder / "models.config").write_text(f"model_config_list {{\n{models}}}\n")
    (folder / "monitoring.config").write_text(f'prometheus_config {{ enable: true path: "{METRICS}" }}\n')
    (folder / "batching.config").write_text(BATCHING.lstrip())


def models_config(folder: Path, with_labels: bool = True) -> list[str]:
    """The ModelConfig of each model of the table, as a text proto.

    with_labels: False at start-up, where a server accepts labels only by a flag; a reload brings them later.
    """
    labels = LABELS if with_labels else ""
    return [
        model_config("user", folder / "models" / "user", f"model_version_policy {{ all {{}} }} {labels}"),
        model_config("types", folder / "models" / "types"),
        model_config("wait", folder / "models" / "wait"),
    ]


def model_config(name: str, base_path: Path | str, rest: str = "") -> str:
    """One ModelConfig as a text proto.  rest: its policy and labels."""
    return f'name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" {rest}'


def flags(folder: Path, batching: bool) -> list[str]:
    """The flags, without ports, for TensorFlow Serving and for the stand-in."""
    common = [
        f"--model_config_file={folder / 'models.config'}",
        "--max_num_load_retries=0",
        "--file_system_poll_wait_seconds=1",
        "--grpc_max_threads=64",
    ]
    if batching:
        return [*common, "--enable_batching=true", f"--batching_parameters_file={folder / 'batching.config'}"]
    return [
        *common,
        f"--monitoring_config_file={folder / 'monitoring.config'}",
        "--enable_grpc_healthcheck_service=true",
    ]
