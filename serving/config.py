"""Which models to serve: from the flags or from a ModelServerConfig text proto."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import file_system_storage_path_source_pb2, model_server_config_pb2

_Policy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy


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
        return found[-(self.policy.latest.num_versions or 1) :]

    def versions_on_disk(self) -> list[int]:
        """Folders whose names are whole numbers; anything else is skipped, so that writers can rename into place."""
        if not self.base_path.is_dir():
            return []
        names = [path.name for path in self.base_path.iterdir() if path.is_dir()]
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


def models_from(flags: argparse.Namespace) -> list[ModelConfig]:
    """Raises ConfigError."""
    if not flags.model_config_file:
        return [ModelConfig(flags.model_name, Path(flags.model_base_path))]
    path = Path(flags.model_config_file)
    try:
        text = path.read_text(encoding="utf-8")
        parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigError(f"{path}: {error}") from error
    models = [_model(path, config) for config in parsed.model_config_list.config]
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise ConfigError(f"{path}: expected unique model names, got {', '.join(names)}")
    if not models:
        raise ConfigError(f"{path}: expected at least one model")
    return models


def _model(path: Path, config: model_server_config_pb2.ModelConfig) -> ModelConfig:
    if config.model_platform not in ("", "tensorflow"):
        raise ConfigError(f"{path}: {config.name}: expected model_platform tensorflow, got {config.model_platform}")
    if not Path(config.base_path).is_absolute():
        raise ConfigError(f"{path}: {config.name}: expected an absolute base_path, got {config.base_path!r}")
    return ModelConfig(config.name, Path(config.base_path), config.model_version_policy, dict(config.version_labels))
