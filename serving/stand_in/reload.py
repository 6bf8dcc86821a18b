"""A new configuration while serving, by HandleReloadConfigRequest or because the configuration file has changed."""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Sequence

from grpc import StatusCode
from tensorflow_serving.config import model_server_config_pb2

from serving.stand_in.folder_watcher import FolderWatcher
from serving.stand_in.model_config import ModelConfig, check_platforms, check_same_platforms, models_of
from serving.stand_in.models import Models
from serving.stand_in.status import StatusError, invalid_argument
from serving.stand_in.text_proto import ConfigError, read_text_proto

log = logging.getLogger(__name__)


class Reloader:
    """Checks a new configuration, and hands it to the thread that loads.

    The checks come in TensorFlow Serving's order, in which a refusal has consequences: a configuration that is refused
    for a platform has already replaced all labels, and the next one is compared with it. If a model in it has no
    platform, every later configuration is refused, until a restart. The models go on serving all the while.
    """

    def __init__(
        self, configs: Sequence[ModelConfig], models: Models, watcher: FolderWatcher, allow_new_labels: bool
    ) -> None:
        """configs: the configuration at the start.

        allow_new_labels: a new label may point at a version that is not available; one in use may not move there.
        """
        self._configs = configs  # the last ones whose platforms were compared, whether they serve or not
        self._models = models
        self._watcher = watcher
        self._allow_new_labels = allow_new_labels
        self._lock = threading.Lock()

    def reload(self, configs: Sequence[ModelConfig], timeout_s: float | None) -> None:
        """Replace the configuration, and return when every new model serves.  Raises StatusError."""
        with self._lock:
            try:
                check_same_platforms(self._configs, configs)
                self._configs = configs
                self._check_labels(configs)
                self._models.set_labels({config.name: config.labels for config in configs})
                check_platforms(configs)
            except ConfigError as error:
                raise invalid_argument(str(error)) from error
        self._watcher.reload(configs, timeout_s)

    def _check_labels(self, configs: Sequence[ModelConfig]) -> None:
        """Raise StatusError if a label may not point where it shall."""
        for config in configs:
            model = self._models.by_name.get(config.name)
            available = model.available() if model is not None else set()
            in_use = self._models.labels.get(config.name, {})
            for label, version in config.labels.items():
                is_allowed = self._allow_new_labels and in_use.get(label, version) == version
                if version not in available and not is_allowed:
                    raise StatusError(
                        StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {config.name}, which is not currently "
                        "available for inference",
                    )

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
