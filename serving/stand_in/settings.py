"""The settings: the flags and the files that they name, read and checked before TensorFlow is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from serving.stand_in.batch_parameters import BatchParameters, batch_parameters_of
from serving.stand_in.metrics import metrics_path
from serving.stand_in.model_config import ModelConfig, models_from
from serving.stand_in.tls import credentials_of


@dataclass(frozen=True)
class Settings:
    """metrics_path: of Prometheus metrics on the REST port, None for no metrics.  batches: None for no batching.
    credentials: None for no TLS."""

    flags: argparse.Namespace
    models: Sequence[ModelConfig]
    metrics_path: str | None
    batches: BatchParameters | None
    credentials: grpc.ServerCredentials | None


def settings_of(flags: argparse.Namespace) -> Settings:
    """Read the files that the flags name.  Raises ConfigError where the real server would refuse to start."""
    return Settings(flags, models_from(flags), metrics_path(flags), batch_parameters_of(flags), credentials_of(flags))
