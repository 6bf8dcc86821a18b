"""A new configuration while serving: by HandleReloadConfigRequest, or because the file has changed."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence

from grpc import StatusCode
from tensorflow_serving.config import model_server_config_pb2

from serving.stand_in.folder_watcher import FolderWatcher
from serving.stand_in.model_config import ConfigError, ModelConfig, models_of, read_text_proto
from serving.stand_in.models import Versions
from serving.stand_in.status import StatusError

log = logging.getLogger(__name__)


class Reloader:
    """Checks what only a running server can know, and hands over to the thread that loads."""

    def __init__(self, versions: Versions, watcher: FolderWatcher, allow_new_labels: bool) -> None:
        """allow_new_labels: they may point at versions that are not available; labels in use may not move there."""
        self._versions = versions
        self._watcher = watcher
        self._allow_new_labels = allow_new_labels

    def reload(self, configs: Sequence[ModelConfig], timeout_s: float | None) -> None:
        """Returns when every new model serves.  Raises StatusError."""
        for config in configs:
            model = self._versions.models.get(config.name)
            available = model.available() if model is not None else set()
            in_use = model.config.labels if model is not None else {}
            for label, version in config.labels.items():
                unmoved = self._allow_new_labels and in_use.get(label, version) == version
                if version not in available and not unmoved:
                    raise StatusError(
                        StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {config.name}, which is not currently "
                        "available for inference",
                    )
        self._watcher.reload(configs, timeout_s)

    def follow_file(self, flags: argparse.Namespace) -> None:
        """Takes over the file again and again, for ever; what is wrong with it is logged, once."""
        complaint = ""
        while True:
            time.sleep(flags.model_config_file_poll_wait_seconds)
            try:
                parsed = read_text_proto(flags.model_config_file, model_server_config_pb2.ModelServerConfig)
                self.reload(models_of(parsed, flags.model_config_file), timeout_s=None)
            except (ConfigError, StatusError) as error:
                if str(error) != complaint:
                    log.error("the configuration stays as it is: %s", error)
                complaint = str(error)
            else:
                complaint = ""
