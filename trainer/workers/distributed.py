"""Workers that TensorFlow connects: tf.distribute's MultiWorkerMirroredStrategy carries everything they exchange.

The tables are plain variables of each worker, because a user's row belongs to one worker only. What the strategy does
is to connect the workers, to notice that one is gone, and to sum and gather tensors.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from trainer.data.records import shown
from trainer.model.tensorflow_quietly import tf
from trainer.workers.cluster import Cluster
from trainer.workers.errors import ChiefFailed, ClusterError, WorkerLost
from trainer.workers.rendezvous import await_workers
from trainer.workers.workers import T

CHUNK = 4_000_000  # numbers that a worker sends at once, so that gathering needs little memory on those who only send
GONE = (tf.errors.UnavailableError, tf.errors.CancelledError, tf.errors.AbortedError)
TASK = re.compile(r"/job:(\w+)/(?:replica:0/)?task:(\d+)")


class Distributed:
    """The `Workers` of a cluster, which TensorFlow connects."""

    def __init__(self, cluster: Cluster, start_timeout_s: float) -> None:
        """Connect with all other workers. Raises WorkerLost if one does not start within the time."""
        await_workers(cluster, start_timeout_s)
        # TensorFlow takes no signal while it connects, so the kernel ends this process if a worker is lost just then.
        signal.alarm(max(1, round(start_timeout_s)))
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        signal.alarm(0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # TensorFlow has put a handler there that goes on
        self._cluster = cluster
        self._functions: dict[tuple[str, tf.DType, int], Callable[[tf.Tensor], tf.Tensor]] = {}
        self.rank, self.count = cluster.rank, len(cluster)
        if self._strategy.num_replicas_in_sync != self.count:
            raise ClusterError(
                f"expected one device for each of {self.count} workers, got {self._strategy.num_replicas_in_sync} "
                "devices: let each worker see one (CUDA_VISIBLE_DEVICES)"
            )

    @property
    def is_chief(self) -> bool:
        return self.rank == 0

    def sum(self, values: np.ndarray) -> np.ndarray:
        if not values.size:
            return values
        total: np.ndarray = self._call("sum", values).numpy()
        return total

    def sum_tensor(self, tensor: tf.Tensor) -> tf.Tensor:
        def summed(value: tf.Tensor) -> tf.Tensor:
            # `identity`, because a tensor that has no device yet is refused
            return tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(value))

        return self._strategy.run(summed, args=(tensor,))

    def gather(self, values: np.ndarray) -> list[np.ndarray]:
        parts: list[list[np.ndarray]] = [[values[:0]] for _ in range(self.count)]
        for by_rank in self._gathered(values):
            for part, chunk in zip(parts, by_rank, strict=True):
                part.append(chunk)
        return [np.concatenate(part) for part in parts]

    def to_chief(self, values: np.ndarray) -> np.ndarray:
        parts: list[list[np.ndarray]] = [[values[:0]] for _ in range(self.count)]
        for by_rank in self._gathered(values):
            if self.is_chief:
                for part, chunk in zip(parts, by_rank, strict=True):
                    part.append(chunk)
        return np.concatenate([chunk for part in parts for chunk in part])

    def from_chief(self, values: np.ndarray) -> np.ndarray:
        return self.gather(values if self.is_chief else values[:0])[0]

    def on_chief(self, work: Callable[[], T]) -> T | None:
        done: T | None = None
        try:
            if self.is_chief:
                done = work()
        except Exception as error:
            self._told(str(error) or type(error).__name__)
            raise
        if failed := self._told(""):
            raise ChiefFailed(f"{self._cluster.described(0)}: {failed}")
        return done

    def own(self, rng: np.random.Generator) -> np.random.Generator:
        # all workers draw this, so that their common generator stays in step
        return np.random.default_rng([self.rank, *rng.integers(1 << 32, size=4).tolist()])

    def expect_alike(self, facts: Mapping[str, str]) -> None:
        chief, *others = (json.loads(text) for text in self._texts(json.dumps(facts)))
        for rank, other in enumerate(others, start=1):
            for name, expected in chief.items():
                if other.get(name) != expected:
                    raise ClusterError(
                        f"{self._cluster.described(rank)}: {name}: expected what {self._cluster.names[0]} has, "
                        f"{shown(expected)}, got {shown(str(other.get(name)))}"
                    )

    @contextmanager
    def lost_workers_named(self) -> Iterator[None]:
        """Turn TensorFlow's errors about workers that are gone into WorkerLost."""
        try:
            yield
        except tf.errors.OpError as error:
            if not isinstance(error, GONE) and "ollective" not in str(error) and not TASK.search(str(error)):
                raise
            lost = self._lost(str(error))
            raise WorkerLost(f"{lost} has ended or cannot be reached: start all workers again") from error

    def _lost(self, message: str) -> str:
        """Return which of the other workers is meant: the one that the message names, or the only other one."""
        for job, index in TASK.findall(message):
            name = f"{job} {index}"
            if name in self._cluster.names and name != self._cluster.names[self.rank]:
                return self._cluster.described(self._cluster.names.index(name))
        return self._cluster.described(1 - self.rank) if self.count == 2 else "another worker"

    def _told(self, message: str) -> str:
        return self._texts(message)[0]

    def _texts(self, text: str) -> list[str]:
        """Return every worker's text, by rank."""
        return [bytes(codes.astype(np.uint8)).decode() for codes in self.gather(np.frombuffer(text.encode(), np.uint8))]

    def _gathered(self, values: np.ndarray) -> Iterator[list[np.ndarray]]:
        """Yield every worker's next rows, by rank, until all have been sent."""
        rows_at_once = max(1, CHUNK // max(1, int(np.prod(values.shape[1:]))))
        lengths = self._call("gather", np.array([len(values)], np.int64)).numpy()
        sent = values if values.dtype in (np.float32, np.float64, np.int32, np.int64) else None
        for start in range(0, int(lengths.max()), rows_at_once):  # gathering nothing at all would crash TensorFlow
            rows = slice(start, start + rows_at_once)
            chunk = values[rows].astype(np.int32) if sent is None else sent[rows]  # the strategy gathers no small types
            received = self._call("gather", chunk).numpy().astype(values.dtype, copy=False)
            yield np.split(received, np.cumsum(np.clip(lengths - start, 0, rows_at_once))[:-1])

    def _call(self, what: str, values: np.ndarray) -> tf.Tensor:
        """Sum or gather an array.

        A function is traced once for each type and number of dimensions, whatever the lengths: each trace takes the
        next key of the strategy, and all workers must have the same keys.
        """
        values = np.ascontiguousarray(values)
        key = (what, tf.as_dtype(values.dtype), values.ndim)
        if key not in self._functions:
            body = self.sum_tensor if what == "sum" else self._gather_tensor
            signature = [tf.TensorSpec([None] * values.ndim, key[1])]
            self._functions[key] = tf.function(body, input_signature=signature)
        return self._functions[key](tf.constant(values))

    def _gather_tensor(self, tensor: tf.Tensor) -> tf.Tensor:
        def gathered(value: tf.Tensor) -> tf.Tensor:
            return tf.distribute.get_replica_context().all_gather(tf.identity(value), axis=0)

        return self._strategy.run(gathered, args=(tensor,))
