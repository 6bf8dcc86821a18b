"""Requests for the same tensors run together: queues of batches, and the threads that take them in turn.

By TensorFlow Serving's rules: what is wrong with one request of a batch fails all of them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from grpc import StatusCode

from serving.stand_in.batch_parameters import Batching
from serving.stand_in.batch_tensors import Arrays, Dtypes, merge, rows_of, split
from serving.stand_in.status import StatusError, invalid_argument

Run = Callable[[Arrays, Dtypes], Arrays]  # inputs and their dtypes → outputs; raises StatusError


@dataclass(eq=False)
class _Task:
    """One request.  deadline: monotonic seconds, None for none.  outcome: its outputs, or why there are none."""

    arrays: Arrays
    dtypes: Dtypes
    size: int
    deadline: float | None
    outcome: Arrays | StatusError = ()
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False)
class _Batch:
    """since: when its first task came, in monotonic seconds."""

    tasks: list[_Task] = field(default_factory=list)
    size: int = 0
    since: float = 0.0


class BatchThreads:
    """Run the batches of all queues, in turn."""

    def __init__(self, batching: Batching) -> None:
        self.batching = batching
        self.changes = threading.Condition()  # guards the queues too
        self._queues: deque[BatchQueue] = deque()
        for number in range(batching.num_threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def add(self, queue: BatchQueue) -> None:
        with self.changes:
            self._queues.append(queue)

    def remove(self, queue: BatchQueue) -> None:
        with self.changes:
            self._queues.remove(queue)

    def _work(self) -> None:
        while True:
            with self.changes:
                while (taken := self._take()) is None:
                    waits = [queue.wait_s() for queue in self._queues]
                    self.changes.wait(min((wait for wait in waits if wait is not None), default=None))
                self.changes.notify()  # what is left must not wait for this thread
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
    """The batches of one servable for one set of inputs and outputs."""

    def __init__(self, threads: BatchThreads, input_names: Sequence[str], run: Run) -> None:
        """input_names: of the tensors, for messages."""
        self._threads = threads
        self._batching = threads.batching
        self._input_names = input_names
        self._run = run
        self._batches = deque([_Batch()])  # the last is being filled
        threads.add(self)

    def close(self) -> None:
        """No request may be waiting."""
        self._threads.remove(self)

    def run(self, arrays: Arrays, dtypes: Dtypes, timeout_s: float | None) -> Arrays:
        """The outputs, once a batch with these inputs has run.  Raises StatusError.

        An empty request starts no batch: it waits for others, or for its time-out.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        task = _Task(arrays, dtypes, rows_of(arrays), deadline)
        with self._threads.changes:
            self._enqueue(task)
            self._threads.changes.notify()
        if not task.done.wait(timeout_s):
            raise StatusError(StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
        if isinstance(task.outcome, StatusError):
            raise StatusError(task.outcome.code, str(task.outcome))  # the batch's error is its neighbours' too
        return task.outcome

    def wait_s(self) -> float | None:
        """Until the batch being filled may run; None if it is empty."""
        batch = self._batches[-1]
        return max(0.0, batch.since + self._batching.timeout_s - time.monotonic()) if batch.size else None

    def take(self) -> _Batch | None:
        """The next batch to run, if there is one."""
        batch = self._batches[-1]
        if len(self._batches) == 1 and (batch.size >= self._batching.max_batch_size or self.wait_s() == 0.0):
            self._batches.append(_Batch())
        return self._batches.popleft() if len(self._batches) > 1 else None

    def process(self, batch: _Batch) -> None:
        """Runs it; its requests are done afterwards, whatever happens."""
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
        padding = self._batching.padded(batch.size) - batch.size
        requests = [(task.arrays, task.dtypes) for task in batch.tasks]
        outputs = self._run(*merge(self._input_names, requests, padding))
        return split(outputs, [task.size for task in batch.tasks], padding)

    def _enqueue(self, task: _Task) -> None:
        most, batch = self._batching.max_batch_size, self._batches[-1]
        if task.size > most:
            raise invalid_argument(f"Task size {task.size} is larger than maximum input batch size {most}")
        if batch.size + task.size > most:
            if len(self._batches) >= self._batching.max_enqueued_batches:
                raise StatusError(
                    StatusCode.UNAVAILABLE,
                    "The batch scheduling queue to which this task was submitted is full; currently "
                    f"{len(self._batches)} batches enqueued and max_enqueued_batches is "
                    f"{self._batching.max_enqueued_batches}",
                )
            batch = _Batch()
            self._batches.append(batch)
        if not batch.tasks:
            batch.since = time.monotonic()
        batch.tasks.append(task)
        batch.size += task.size
