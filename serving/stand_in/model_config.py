"""Which models to serve: read from the flags, or from a ModelServerConfig text proto."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorflow_serving.config import file_system_storage_path_source_pb2, model_server_config_pb2

from serving.stand_in.text_proto import ConfigError, read_text_proto

_Policy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy
INT64 = range(-(1 << 63), 1 << 63)
PLATFORM = "tensorflow"  # TensorFlow Serving has no other


@dataclass(frozen=True)
class ModelConfig:
    """One model: where its version folders are, which of them to serve, and which labels point at them."""

    name: str
    base_path: Path
    policy: Any = field(default_factory=_Policy)  # of the class _Policy, which is untyped
    labels: dict[str, int] = field(default_factory=dict)
    platform: str = PLATFORM

    def wanted(self, versions: Iterable[int]) -> list[int]:
        """The versions that the policy picks from these, ascending."""
        found = sorted(versions)
        kind = self.policy.WhichOneof("policy_choice")
        if kind == "all":
            return found
        if kind == "specific":
            return [version for version in found if version in self.policy.specific.versions]
        return found[-max(self.policy.latest.num_versions, 1) :]

    def versions_on_disk(self) -> dict[int, Path]:
        """version → folder, of the folders whose names are whole numbers.

        A writer gives a folder another name at first, and renames it when it is complete.
        Raises OSError if the base path cannot be read.
        """
        folders = {}
        # The list itself says what is a folder. A look at each would find none if the base path is renamed meanwhile.
        with os.scandir(self.base_path) as entries:
            for entry in entries:
                if re.fullmatch("[+-]?[0-9]+", entry.name) and int(entry.name) in INT64 and entry.is_dir():
                    folders[int(entry.name)] = Path(entry.path)  # the name may have leading zeros
        return folders


def models_from(flags: argparse.Namespace) -> list[ModelConfig]:
    """The models that the flags name.  Raises ConfigError where the real server would refuse to start."""
    if not flags.model_config_file:
        model = ModelConfig(flags.model_name, Path(flags.model_base_path))
        _check_path(model)
        return [model]
    path = Path(flags.model_config_file)
    parsed = read_text_proto(path, model_server_config_pb2.ModelServerConfig)
    try:
        models = models_of(parsed)
        check_platforms(models)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if not models:
        raise ConfigError(f"{path}: expected at least one model, got none")
    if not flags.allow_version_labels_for_unavailable_models:
        _refuse_labels(path, models)
    return models


def models_of(parsed: model_server_config_pb2.ModelServerConfig) -> list[ModelConfig]:
    """The models in a ModelServerConfig; their platforms are not checked.

    Raises ConfigError if a name is there twice, or a base path is relative.
    """
    names = set()
    for config in parsed.model_config_list.config:
        if config.name in names:
            raise ConfigError(f"Illegal to list model {config.name} multiple times in config list")
        names.add(config.name)
    models = [
        ModelConfig(
            config.name,
            Path(config.base_path),
            config.model_version_policy,
            dict(config.version_labels),
            config.model_platform,
        )
        for config in parsed.model_config_list.config
    ]
    for model in models:
        _check_path(model)
    return models


def check_platforms(models: Sequence[ModelConfig]) -> None:
    """Raise ConfigError for a model without a platform, or with one that TensorFlow Serving does not have."""
    for model in models:
        if _platform_of(model) != PLATFORM:
            raise ConfigError(f"Model {model.name} requests unsupported platform {model.platform}")


def check_same_platforms(before: Sequence[ModelConfig], after: Sequence[ModelConfig]) -> None:
    """Raise ConfigError if a model changes its platform, or has none.

    The models of `before` are all checked; those of `after` only if they are in `before`, too.
    """
    platforms = {model.name: _platform_of(model) for model in before}
    for model in after:
        if model.name in platforms and _platform_of(model) != platforms[model.name]:
            raise ConfigError(
                f"Illegal to change a model's platform. For model {model.name} platform was {platforms[model.name]} "
                f"and new platform requested is {model.platform}"
            )


def _platform_of(model: ModelConfig) -> str:
    if not model.platform:
        raise ConfigError(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform., model name is {model.name}"
        )
    return model.platform


def _check_path(model: ModelConfig) -> None:
    if not model.base_path.is_absolute():
        raise ConfigError(
            f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
        )


def _refuse_labels(path: Path, models: Iterable[ModelConfig]) -> None:
    """Raise ConfigError if a model has labels.

    The real server reads the labels before it loads anything, so that at start-up no version is available to them.
    """
    for model in models:
        for version in model.labels.values():
            raise ConfigError(
                f"{path}: Request to assign label to version {version} of model {model.name}, which is not currently "
                "available for inference (--allow_version_labels_for_unavailable_models allows it)"
            )
