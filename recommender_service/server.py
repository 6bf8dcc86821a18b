"""Builds, starts and stops the gRPC server."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import grpc

from protos.recommender.v1 import recommender_pb2
from recommender_service import health
from recommender_service.access.credentials import Credentials
from recommender_service.answers import Answers
from recommender_service.calls import add_guarded_service
from recommender_service.health import Health
from recommender_service.listening import listen
from recommender_service.memory_answers import MemoryAnswers
from recommender_service.port_sharing import wait_until_needed
from recommender_service.receiver import Receiver, UnknownMethods
from recommender_service.reflection import Reflection
from recommender_service.release import Release
from recommender_service.release_list import ReleaseList
from recommender_service.server_options import health_options, server_options
from recommender_service.servicer import RecommenderServicer
from recommender_service.setting_values import MILVUS
from recommender_service.settings import Settings
from recommender_service.shadow_recall import ShadowRecall
from recommender_service.turns import Turns
from recommender_service.unseen_calls import UnseenCalls
from recommender_service.watcher import ReleaseWatcher

if TYPE_CHECKING:
    from recommender_service.feedback.feedback import Feedback
    from recommender_service.milvus.store import MilvusStore
    from recommender_service.tracing import Tracing

log = logging.getLogger(__name__)

# Calls in progress hold so many objects that Python would look for garbage among them every few calls, and find none.
GC_THRESHOLD = 10_000
SERVICE = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"]


async def serve(settings: Settings, is_worker: bool) -> None:
    """Serve until SIGTERM or SIGINT, then let the calls in progress finish. Raises CannotListen and SettingsError.

    is_worker: the process shares its port with other workers, and stops when its standard input ends, which happens
        when its supervisor is gone.
    """
    gc.set_threshold(GC_THRESHOLD)
    stop, became_active = _stop_event(is_worker), asyncio.Event()
    turns, tracing = Turns(), _tracing(settings)
    receiver, credentials = Receiver(), Credentials(settings, tracing)
    server_health = Health(receiver, SERVICE.full_name)
    feedback, milvus = _feedback(settings), await _milvus(settings, tracing)
    answers_of = _answers_of(settings, turns, milvus)
    watcher = ReleaseWatcher(settings, credentials.model_server, answers_of, became_active.set, feedback, milvus)
    server = _build(settings, is_worker, credentials, watcher, turns, receiver, server_health, feedback, tracing)
    servers = [server]
    if settings.health_address:
        servers.append(_build_health(settings, is_worker, receiver, server_health))
    unseen_calls = UnseenCalls(receiver, 2 * settings.max_queued_calls)
    tasks = [asyncio.create_task(task) for task in (watcher.run(), receiver.run(), unseen_calls.run())]
    tasks += [asyncio.create_task(task) for task in credentials.follow()]
    tasks.append(asyncio.create_task(_report_ready(became_active, server_health)))
    if feedback is not None:
        tasks.append(asyncio.create_task(feedback.run()))
    if is_worker:
        needed = asyncio.create_task(wait_until_needed(settings.listen_address, became_active))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((needed, stopped), return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        addresses = listen(settings, is_worker, credentials.tls, *servers)
        for one in servers:
            await one.start()
        log.info("listening", extra={"fields": addresses})
        await stop.wait()
    log.info("stopping", extra={"fields": {"grace_s": settings.shutdown_grace_s}})
    server_health.stop()
    receiver.stop()
    await asyncio.gather(*(one.stop(settings.shutdown_grace_s) for one in servers))
    for task in tasks:
        task.cancel()
    await credentials.model_server.close()
    for closing in (milvus.close() if milvus is not None else None, tracing.stop() if tracing is not None else None):
        if closing is not None:
            await closing
    log.info("stopped")


def _feedback(settings: Settings) -> Feedback | None:
    """What users do, in an event store; None if there is none. Only then are SQLAlchemy and the rest imported."""
    if not settings.events_url:
        return None
    from recommender_service.feedback.feedback import Feedback

    return Feedback(settings)


def _answers_of(settings: Settings, turns: Turns, milvus: MilvusStore | None) -> Callable[[Release], Answers]:
    """What makes that which ranks a release's movies."""
    if milvus is not None:
        return milvus.answers_of
    return partial(MemoryAnswers, turns=turns, degraded_answers=settings.degraded_answers)


async def _milvus(settings: Settings, tracing: Tracing | None) -> MilvusStore | None:
    """What is searched in place of memory; None if nothing is. Raises SettingsError."""
    if settings.ann != MILVUS:
        return None
    from recommender_service.milvus.store import MilvusStore  # not at the top: it takes a second and 100 MB

    return await asyncio.to_thread(MilvusStore, settings, tracing)


def _build(
    settings: Settings,
    is_worker: bool,
    credentials: Credentials,
    watcher: ReleaseWatcher,
    turns: Turns,
    receiver: Receiver,
    server_health: Health,
    feedback: Feedback | None,
    tracing: Tracing | None,
) -> grpc.aio.Server:
    """The server with its three services: recommender, health and, unless it is off, reflection."""
    server = grpc.aio.server(options=server_options(settings, is_worker))
    shadow_recall = ShadowRecall() if settings.metrics_address and settings.ann != MILVUS else None
    release_list = ReleaseList(settings.releases_dir, settings.verify_key_file)
    servicer = RecommenderServicer(watcher, release_list, turns, feedback, shadow_recall)
    tokens = credentials.tokens
    add_guarded_service(server, SERVICE, servicer, receiver, turns, settings.max_concurrent_calls, tokens, tracing)
    server_health.add_to(server)
    if settings.reflection:
        Reflection(receiver, tokens, SERVICE.full_name, health.SERVICE).add_to(server)
    server.add_generic_rpc_handlers((UnknownMethods(receiver),))
    return server


def _tracing(settings: Settings) -> Tracing | None:
    """What makes traces, if they are on."""
    if not settings.otel_exporter_otlp_endpoint:
        return None
    from recommender_service.tracing import Tracing  # not at the top: without traces, nothing of it is loaded

    return Tracing()


def _build_health(settings: Settings, is_worker: bool, receiver: Receiver, server_health: Health) -> grpc.aio.Server:
    """The server that answers health and nothing else."""
    server = grpc.aio.server(options=health_options(settings, is_worker))
    server_health.add_to(server)
    server.add_generic_rpc_handlers((UnknownMethods(receiver),))
    return server


def _stop_event(is_worker: bool) -> asyncio.Event:
    """An event that is set by SIGTERM, by SIGINT and, in a worker, by the end of standard input."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if is_worker:
        asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    return stop


async def _report_ready(became_active: asyncio.Event, server_health: Health) -> None:
    await became_active.wait()
    server_health.set_serving()
