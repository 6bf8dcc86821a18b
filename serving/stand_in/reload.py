"""A new configuration while serving, by HandleReloadConfigRequest or because the configuration file has changed."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence

from grpc import StatusCode
from tensorflow_serving.config import model_server_config_pb2

from serving.stand_in.folder_watcher import FolderWatcher
from serving.stand_in.model_config import ModelConfig, check_platforms, models_of
from serving.stand_in.models import Models
from serving.stand_in.status import StatusError, invalid_argument
from serving.stand_in.text_proto import ConfigError, read_text_proto

log = logging.getLogger(__name__)


class Reloader:
    """Checks a new configuration, and hands it to the thread that loads."""

    def __init__(self, models: Models, watcher: FolderWatcher, allow_new_labels: bool) -> None:
        """allow_new_labels: a new label may point at a version that is not available; one in use may not move there."""
        self._models = models
        self._watcher = watcher
        self._allow_new_labels = allow_new_labels

    def reload(self, configs: Sequence[ModelConfig], timeout_s: float | None) -> None:
        """Replace the configuration, and return when every new model serves.  Raises StatusError."""
        try:
            check_platforms(configs)
        except ConfigError as error:
            raise invalid_argument(str(error)) from error
        for config in configs:
            model = self._models.by_name.get(config.name)
            available = model.available() if model is not None else set()
            in_use = model.config.labels if model is not None else {}
            for label, version in config.labels.items():
                is_allowed = self._allow_new_labels and in_use.get(label, version) == version
                if version not in available and not is_allowed:
                    raise StatusError(
                        StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {config.name}, which is not currently "
                        "available for inference",
                    )
        self._watcher.reload(configs, timeout_s)

    def follow_file(self, flags: argparse.Namespace) -> None:
        """Read the configuration file again and again, for ever, and log an error in it once."""
        path, complaint = flags.model_config_file, ""
        while True:
            time.sleep(flags.model_config_file_poll_wait_seconds)
            try:
                parsed = read_text_proto(path, model_server_config_pb2.ModelServerConfig)
                self.reload(models_of(parsed), timeout_s=None)
            except (ConfigError, StatusError) as error:
                if str(error) != complaint:
                    log.error("%s: the configuration stays as it is: %s", path, error)
                complaint = str(error)
            else:
                complaint = ""
