"""Start a server as a child process, read its log, send it signals, and stop it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

START_TIMEOUT_S = 150  # importing TensorFlow takes seconds, on a cold disk or a busy machine tens of them
STOP_TIMEOUT_S = 40  # the recommender's grace for calls in progress, and what a busy machine adds
TAIL_LINES = 5


class ServerError(Exception):
    """A server ended, or did not get ready in time. The message ends with the last lines of its log."""


class Server:
    """A child process that logs to a file and tells its address there."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str], name: str) -> None:
        """Start the process.  environment: added to that of this process.  name: for messages about it."""
        self.log = log
        self._name = name
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
            )

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """The first match of the pattern in the log.

        Raises ServerError if the process ends without it, or writes none within START_TIMEOUT_S.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            # Both are asked first: the line may be the last that was written, or come while this process stalls.
            ended, is_late = self.process.poll() is not None, time.monotonic() > deadline
            match = re.search(pattern, self.text())
            if match:
                return match
            if ended:
                self.check_running()
            if is_late:
                raise self.failure(f"logged no {pattern!r} within {START_TIMEOUT_S} s")
            time.sleep(0.02)

    def check_running(self) -> None:
        """Raises ServerError if the process has ended."""
        status = self.process.poll()
        if status is not None:
            how = f"ended with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"
            raise self.failure(how)

    def failure(self, what: str) -> ServerError:
        """An error that says what happened to this server, and what it logged last."""
        tail = "\n".join(self.text().splitlines()[-TAIL_LINES:])
        return ServerError(f"{self._name} {what}; the end of {self.log}:\n{tail}")

    def text(self) -> str:
        """The whole log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def events(self, name: str) -> list[dict[str, object]]:
        """The recommender's log lines with that event."""
        whole = self.text().rpartition("\n")[0]  # the last line may be half written
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def send(self, number: signal.Signals) -> None:
        """Send the signal. SIGSTOP is sent by `suspend`."""
        if number == signal.SIGSTOP:
            suspend(self.process.pid)
        else:
            self.process.send_signal(number)

    def resident_kb(self) -> int:
        """Resident memory in KiB.  Linux only."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and return the exit status.

        Raises subprocess.TimeoutExpired, after SIGKILL, if the process has not ended within STOP_TIMEOUT_S.
        """
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextmanager
def served(
    command: Sequence[str], log: Path, environment: Mapping[str, str], name: str = "the server"
) -> Iterator[Server]:
    """Run a server while the block runs; a process that still runs at its end gets SIGKILL."""
    server = Server(command, log, environment, name)
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGCONT)
        server.stop(signal.SIGKILL)


def suspend(pid: int) -> None:
    """Send SIGSTOP to the process, and return when every thread of it has stopped.  Linux only."""

    def states() -> list[str]:
        found = []
        for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
            with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
                found.append(stat.read_text().rpartition(")")[2].split()[0])
        return found

    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: all(state in "TtZ" for state in states()), "every thread has stopped")


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60) -> float:
    """Return once the condition holds, and say after how many seconds that was.

    Raises TimeoutError, naming what was waited for, if it does not hold in time.
    """
    started = time.monotonic()
    while True:
        is_late = time.monotonic() > started + seconds  # asked first, because this process may stall in between
        if condition():
            return time.monotonic() - started
        if is_late:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
