"""Starts the workers of one training run, each with TF_CONFIG, and waits for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.train_as_worker import IS_HELD
from tools.servers import HOST, free_port

END_TIMEOUT_S = 600  # TensorFlow's import alone takes a minute on a busy machine


class TrainingWorkers:
    """Real processes, of which each has artifacts and a log of its own in `folder`."""

    def __init__(self, folder: Path, flags: Sequence[Sequence[str]], held: int | None = None) -> None:
        """Start a worker for each list of flags.  held: the rank of one that waits after its first checkpoint."""
        folder.mkdir(exist_ok=True)
        self.artifacts = [folder / f"artifacts-{rank}" for rank in range(len(flags))]
        self._logs = [folder / f"worker-{rank}.log" for rank in range(len(flags))]
        self.addresses = [f"{HOST}:{free_port()}" for _ in flags]
        self.processes = [self._start(rank, own, rank == held) for rank, own in enumerate(flags)]

    def _start(self, rank: int, flags: Sequence[str], is_held: bool) -> subprocess.Popen[bytes]:
        config = {"cluster": {"worker": self.addresses}, "task": {"type": "worker", "index": rank}}
        command = [sys.executable, "-m", "tests.support.train_as_worker", "train"]
        command += ["--artifacts", str(self.artifacts[rank]), *flags]
        environment = {**os.environ, "TF_CONFIG": json.dumps(config), **({IS_HELD: "1"} if is_held else {})}
        with self._logs[rank].open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def statuses(self) -> list[int]:
        """Wait for all, and return their exit statuses. After the time that is allowed, they get SIGKILL."""
        try:
            return [process.wait(END_TIMEOUT_S) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()

    def has_checkpoint(self, rank: int) -> bool:
        """Whether a worker has left a checkpoint, while all of them run."""
        assert all(process.poll() is None for process in self.processes), self.logs()
        return bool(list((self.artifacts[rank] / "checkpoints").glob("*.npz")))

    def log(self, rank: int) -> str:
        """What a worker has printed so far."""
        return self._logs[rank].read_text(encoding="utf-8", errors="replace")

    def logs(self) -> str:
        """What all of them have printed, for the message of a failed test."""
        return "\n".join(self.log(rank) for rank in range(len(self._logs)))
