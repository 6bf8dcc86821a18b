"""The command `watch`: looks for new events from time to time, trains, publishes and prunes."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import signal
import threading
import time
from pathlib import Path

from events.errors import EventStoreError
from object_storage.bucket import Bucket, ObjectStorageError
from trainer.cli.news import News, news_of
from trainer.cli.object_storage import synchronised
from trainer.cli.watch_metrics import Result, WatchMetrics
from trainer.release.bucket_catalogue import prune_bucket
from trainer.release.canary import canary_of
from trainer.release.catalogue import check_writable, served_versions
from trainer.release.errors import CanaryError
from trainer.release.prune import prune

RETRY_S = 60.0  # a store that cannot be reached is asked again after so long, or after --every if that is less
BUSY_STATUS = 3  # of `train` while another trainer is training
POLL_S = 0.2
KILL_AFTER_S = 5.0
LISTENS_EVERY_S = 1.0  # for signals: one that comes just before a wait is handled only after it

log = logging.getLogger(__name__)


def watch(arguments: argparse.Namespace) -> None:
    """Train whenever enough events are new, until SIGTERM or Ctrl-C. Each training run is a process of its own.

    So a run that fails, or is killed for lack of memory, changes nothing; and its memory is free afterwards.
    Raises NotWritable if releases cannot be published there, and OSError if the port for metrics is taken.
    """
    check_writable(arguments.artifacts)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    metrics = WatchMetrics(arguments.metrics_address)
    _note_newest(arguments.artifacts, metrics)
    log.info("looking for %s new events every %g s", f"{arguments.min_new_events:,}", arguments.every)
    while not stopping.is_set():
        looked_at = time.monotonic()
        pause_s = arguments.every if _look(arguments, metrics, stopping) else min(RETRY_S, arguments.every)
        while (left_s := looked_at + pause_s - time.monotonic()) > 0 and not stopping.is_set():
            stopping.wait(min(left_s, LISTENS_EVERY_S))
    log.info("stopped")


def _look(arguments: argparse.Namespace, metrics: WatchMetrics, stopping: threading.Event) -> bool:
    """Look once, and train if there is reason to. Return whether event store and bucket could be read."""
    try:
        bucket = synchronised(arguments.artifacts)
        canary = canary_of(arguments.artifacts)
        news = news_of(arguments.events, arguments.artifacts)
    except (CanaryError, EventStoreError, ObjectStorageError) as error:
        what = {EventStoreError: "event store", CanaryError: "canary"}.get(type(error), "bucket")
        log.error("the %s cannot be read: %s", what, error)
        metrics.record(Result.FAILED)
        return False
    metrics.new_events.set(news.num_events)
    if canary is not None:
        log.info("%s: nothing to do before the canary %d is promoted or withdrawn", news, canary.release)
        metrics.record(Result.NOTHING)
        return True
    if not news.suffice(arguments.min_new_events):
        log.info("%s: nothing to do", news)
        metrics.record(Result.NOTHING)
        return True
    log.info("%s: training", news)
    started = time.monotonic()
    status = _run(arguments, stopping)
    if stopping.is_set():
        log.info("the training run was stopped; nothing was published")
        return True
    metrics.run_seconds.set(time.monotonic() - started)
    _judge(status, news, arguments, metrics)
    if bucket is not None:
        _prune_bucket(bucket, arguments.keep)
    return True


def _prune_bucket(bucket: Bucket, keep: int) -> None:
    """Prune the bucket, or log why that is left to the next time."""
    try:
        removed = prune_bucket(bucket, keep)
    except ObjectStorageError as error:
        log.error("the bucket was not pruned: %s", error)
    else:
        log.info("pruned in %s: %s", bucket.url, ", ".join(map(str, removed)) or "nothing")


def _judge(status: int, news: News, arguments: argparse.Namespace, metrics: WatchMetrics) -> None:
    """Count a finished run, and prune if it published."""
    served = served_versions(arguments.artifacts)
    if served and served[-1] > news.release:
        pruned = prune(arguments.artifacts, arguments.keep)
        removed = ", ".join(map(str, pruned.removed)) or "nothing"
        log.info("release %d is published; pruned: %s", served[-1], removed)
        metrics.record(Result.PUBLISHED)
        metrics.new_events.set(0)
        _note_newest(arguments.artifacts, metrics)
    elif status in (0, BUSY_STATUS):
        log.info("another trainer is at work")
        metrics.record(Result.NOTHING)
    else:
        newest = f"release {news.release} stays" if news.release else "there is no release yet"
        log.error("the training run ended with status %d; %s", status, newest)
        metrics.record(Result.FAILED)


def _run(arguments: argparse.Namespace, stopping: threading.Event) -> int:
    """Train in a process of its own, and return its exit status; end it if this process is to stop."""
    process = multiprocessing.get_context("spawn").Process(target=_train, args=(arguments,))
    process.start()
    while process.is_alive() and not stopping.is_set():
        process.join(POLL_S)
    if process.is_alive():
        process.terminate()  # what it leaves is not served, and the next prune removes it
        process.join(KILL_AFTER_S)
        process.kill()
        process.join()
    return process.exitcode if process.exitcode is not None else 1


def _train(arguments: argparse.Namespace) -> None:
    """Run the command `train` with these flags, and end the process with its status."""
    from trainer.cli.main import run  # not at the top: it imports this module

    arguments.command = "train"
    raise SystemExit(run(arguments))


def _note_newest(artifacts: Path, metrics: WatchMetrics) -> None:
    served = served_versions(artifacts)
    metrics.newest_release.set(served[-1] if served else 0)
