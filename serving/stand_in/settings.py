"""What the command line and the files that it names say, read and checked before TensorFlow is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from serving.stand_in.batch_parameters import Batching, batching_of
from serving.stand_in.metrics import metrics_path
from serving.stand_in.model_config import ModelConfig, models_from
from serving.stand_in.tls import credentials_of


@dataclass(frozen=True)
class Settings:
    """metrics_path: on the REST port; None for no metrics.  batching: None for none.  credentials: None for no TLS."""

    flags: argparse.Namespace
    models: Sequence[ModelConfig]
    metrics_path: str | None
    batching: Batching | None
    credentials: grpc.ServerCredentials | None


def settings_of(flags: argparse.Namespace) -> Settings:
    """Raises ConfigError, wherever the real server would refuse to start."""
    return Settings(flags, models_from(flags), metrics_path(flags), batching_of(flags), credentials_of(flags))
