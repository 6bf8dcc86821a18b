"""Server-side batching: requests for the same signature and outputs wait in a queue and run together.

A few threads serve all queues in turn. As under TensorFlow Serving, a request that fails makes its whole batch fail.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from grpc import StatusCode

from serving.stand_in.batch_parameters import BatchParameters
from serving.stand_in.batch_tensors import merge, rows_of, split
from serving.stand_in.status import StatusError, invalid_argument
from serving.stand_in.tensors import Arrays, Dtypes

Run = Callable[[Arrays, Dtypes], Arrays]  # takes inputs and their dtypes, returns outputs; raises StatusError


@dataclass(eq=False)
class _Task:
    """One waiting request.  size: its rows.  deadline: in monotonic seconds, None for none.
    outcome: its outputs, or the error instead of them; valid once `done` is set."""

    arrays: Arrays
    dtypes: Dtypes
    size: int
    deadline: float | None
    outcome: Arrays | StatusError = ()
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False)
class _Batch:
    """size: rows of all tasks.  since: the arrival of the first task, in monotonic seconds."""

    tasks: list[_Task] = field(default_factory=list)
    size: int = 0
    since: float = 0.0


class BatchThreads:
    """The threads that run the batches of all queues, one queue after the other."""

    def __init__(self, parameters: BatchParameters) -> None:
        """Start the threads."""
        self.parameters = parameters
        self.changes = threading.Condition()  # guards the queues too
        self._queues: deque[BatchQueue] = deque()
        for number in range(parameters.num_threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def add(self, queue: BatchQueue) -> None:
        """Serve this queue from now on."""
        with self.changes:
            self._queues.append(queue)

    def remove(self, queue: BatchQueue) -> None:
        """Stop serving this queue."""
        with self.changes:
            self._queues.remove(queue)

    def _work(self) -> None:
        while True:
            with self.changes:
                while (taken := self._take()) is None:
                    waits = [queue.wait_s() for queue in self._queues]
                    self.changes.wait(min((wait for wait in waits if wait is not None), default=None))
                self.changes.notify()  # another thread looks for further batches while this one runs its own
            queue, batch = taken
            queue.process(batch)

    def _take(self) -> tuple[BatchQueue, _Batch] | None:
        for _ in range(len(self._queues)):
            queue = self._queues[0]
            self._queues.rotate(-1)
            batch = queue.take()
            if batch is not None:
                return queue, batch
        return None


class BatchQueue:
    """The waiting batches of one version for one signature and one set of outputs."""

    def __init__(self, threads: BatchThreads, tensor_names: Sequence[str], run: Run) -> None:
        """tensor_names: of the inputs' tensors, for messages.  run: runs one batch."""
        self._threads = threads
        self._parameters = threads.parameters
        self._tensor_names = tensor_names
        self._run = run
        self._batches = deque([_Batch()])  # the last one is being filled
        threads.add(self)

    def close(self) -> None:
        """Give the queue up; no request may be waiting."""
        self._threads.remove(self)

    def run(self, arrays: Arrays, dtypes: Dtypes, timeout_s: float | None) -> Arrays:
        """Run these inputs in a batch with others, and return their outputs.  Raises StatusError.

        A request with no rows starts no batch: it waits for the rows of others, or for its time-out.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        task = _Task(arrays, dtypes, rows_of(arrays), deadline)
        with self._threads.changes:
            self._enqueue(task)
            self._threads.changes.notify()
        if not task.done.wait(timeout_s):
            raise StatusError(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        if isinstance(task.outcome, StatusError):
            raise StatusError(task.outcome.code, str(task.outcome))  # a copy: all tasks of the batch share the error
        return task.outcome

    def wait_s(self) -> float | None:
        """Seconds until the batch that is being filled may run; None if it is empty."""
        batch = self._batches[-1]
        return max(0.0, batch.since + self._parameters.timeout_s - time.monotonic()) if batch.size else None

    def take(self) -> _Batch | None:
        """Remove and return the next batch that may run; None if there is none."""
        batch = self._batches[-1]
        if len(self._batches) == 1 and (batch.size >= self._parameters.max_batch_size or self.wait_s() == 0.0):
            self._batches.append(_Batch())
        return self._batches.popleft() if len(self._batches) > 1 else None

    def process(self, batch: _Batch) -> None:
        """Run the batch and finish its tasks, each with its outputs or with the batch's error."""
        outcomes: Sequence[Arrays | StatusError]
        try:
            outcomes = self._outcomes(batch)
        except StatusError as error:
            outcomes = [error] * len(batch.tasks)
        except Exception as error:  # a bug must neither leave callers waiting nor end the thread
            outcomes = [StatusError(StatusCode.INTERNAL, repr(error))] * len(batch.tasks)
        for task, outcome in zip(batch.tasks, outcomes, strict=True):
            task.outcome = outcome
            task.done.set()

    def _outcomes(self, batch: _Batch) -> list[Arrays]:
        now = time.monotonic()
        if all(task.deadline is not None and task.deadline <= now for task in batch.tasks):
            message = "Run() timeout exceeded while waiting in batching queue"
            raise StatusError(StatusCode.RESOURCE_EXHAUSTED, message)
        padding = self._parameters.padded(batch.size) - batch.size
        requests = [(task.arrays, task.dtypes) for task in batch.tasks]
        outputs = self._run(*merge(self._tensor_names, requests, padding))
        return split(outputs, [task.size for task in batch.tasks], padding)

    def _enqueue(self, task: _Task) -> None:
        most, batch = self._parameters.max_batch_size, self._batches[-1]
        if task.size > most:
            raise invalid_argument(f"Task size {task.size} is larger than maximum input batch size {most}")
        if batch.size + task.size > most:
            if len(self._batches) >= self._parameters.max_enqueued_batches:
                raise StatusError(
                    StatusCode.UNAVAILABLE,
                    "The batch scheduling queue to which this task was submitted is full; currently "
                    f"{len(self._batches)} batches enqueued and max_enqueued_batches is "
                    f"{self._parameters.max_enqueued_batches}",
                )
            batch = _Batch()
            self._batches.append(batch)
        if not batch.tasks:
            batch.since = time.monotonic()
        batch.tasks.append(task)
        batch.size += task.size
