"""Which models to serve: from the flags or from a ModelServerConfig text proto."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message
from tensorflow_serving.config import file_system_storage_path_source_pb2, model_server_config_pb2

_Policy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy
INT64 = range(-(1 << 63), 1 << 63)
TextProto = TypeVar("TextProto", bound=Message)


class ConfigError(ValueError):
    """The configuration cannot be used; the message says where and why."""


@dataclass(frozen=True)
class ModelConfig:
    """One model: where its version folders are, which of them to serve, and what labels point at."""

    name: str
    base_path: Path
    policy: Any = field(default_factory=_Policy)  # of the class _Policy, which is untyped
    labels: dict[str, int] = field(default_factory=dict)

    def wanted(self, versions: Iterable[int]) -> list[int]:
        """The versions the policy picks, ascending."""
        found = sorted(versions)
        kind = self.policy.WhichOneof("policy_choice")
        if kind == "all":
            return found
        if kind == "specific":
            return [version for version in found if version in self.policy.specific.versions]
        return found[-max(self.policy.latest.num_versions, 1) :]

    def versions_on_disk(self) -> dict[int, Path]:
        """version → folder, of the folders whose names are whole numbers; writers rename into place from other names.

        Raises OSError if the base path cannot be read.
        """
        folders = {}
        for path in self.base_path.iterdir():
            if re.fullmatch("[+-]?[0-9]+", path.name) and int(path.name) in INT64 and path.is_dir():
                folders[int(path.name)] = path  # the name may have leading zeros
        return folders


def models_from(flags: argparse.Namespace) -> list[ModelConfig]:
    """Raises ConfigError, wherever the real server would refuse to start."""
    if not flags.model_config_file:
        return [_checked(ModelConfig(flags.model_name, Path(flags.model_base_path)), "")]
    path = Path(flags.model_config_file)
    models = models_of(read_text_proto(path, model_server_config_pb2.ModelServerConfig), path)
    if not models:
        raise ConfigError(f"{path}: expected at least one model")
    if not flags.allow_version_labels_for_unavailable_models:
        _refuse_labels(path, models)
    return models


def read_text_proto(path: Path | str, kind: type[TextProto]) -> TextProto:
    """Raises ConfigError naming the file."""
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), kind())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigError(f"{path}: {error}") from error


def models_of(parsed: model_server_config_pb2.ModelServerConfig, source: Path | str = "") -> list[ModelConfig]:
    """source: for messages.  Raises ConfigError."""
    prefix = f"{source}: " if source else ""
    names = set()
    for config in parsed.model_config_list.config:
        if config.name in names:
            raise ConfigError(f"{prefix}Illegal to list model {config.name} multiple times in config list")
        names.add(config.name)
    return [_model(prefix, config) for config in parsed.model_config_list.config]


def _model(prefix: str, config: model_server_config_pb2.ModelConfig) -> ModelConfig:
    labels = dict(config.version_labels)
    model = _checked(ModelConfig(config.name, Path(config.base_path), config.model_version_policy, labels), prefix)
    if not config.model_platform:
        raise ConfigError(
            f"{prefix}Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform."
        )
    if config.model_platform != "tensorflow":
        raise ConfigError(f"{prefix}Model {config.name} requests unsupported platform {config.model_platform}")
    return model


def _checked(model: ModelConfig, prefix: str) -> ModelConfig:
    if not model.base_path.is_absolute():
        raise ConfigError(
            f"{prefix}Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
        )
    return model


def _refuse_labels(path: Path, models: list[ModelConfig]) -> None:
    """The real server reads the labels before it loads anything, so at start-up no version is available to any."""
    for model in models:
        for version in model.labels.values():
            raise ConfigError(
                f"{path}: Request to assign label to version {version} of model {model.name}, which is not currently "
                "available for inference (--allow_version_labels_for_unavailable_models allows it)"
            )
