"""Serves the page: `python -m web`. settings.py lists the environment variables it reads."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from importlib.metadata import version

import uvicorn
from movie_recommender_client import AsyncRecommender

from web.app import application
from web.settings import Settings, SettingsError

PACKAGE = "movie-recommender"
MAX_CONNECTIONS = 100


def main(argv: list[str]) -> int:
    """Serve until a signal. Returns 0 after Ctrl-C, 1 if the port cannot be had, 2 for a wrong setting."""
    about = "Serves the page until it is stopped. Environment variables set it up: docs/web.md."
    parser = argparse.ArgumentParser(prog="python -m web", description=about)
    parser.add_argument("--version", action="version", version=f"{PACKAGE} {version(PACKAGE)}")
    parser.parse_args(argv)
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    host, port = settings.listen
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        problem = os.strerror(error.errno or 0)  # its own text may repeat the address
        print(f"error: WEB_ADDRESS: cannot listen on {settings.web_address}: {problem}", file=sys.stderr)
        return 1
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    with listener, asyncio.Runner() as runner:
        try:
            runner.run(_serve(settings, listener))
        except KeyboardInterrupt:
            return 0
    return 0


async def _serve(settings: Settings, listener: socket.socket) -> None:
    async with AsyncRecommender(
        settings.recommender_address,
        tls=settings.tls,
        token=settings.recommender_token,
        timeout_s=settings.recommender_timeout_ms / 1000,
    ) as recommender:
        config = uvicorn.Config(
            application(recommender, settings.recommender_address, settings.web_hosts),
            log_level="warning",
            access_log=False,  # the addresses of pages name users
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=5,
        )
        print(f"page on http://{settings.listen[0]}:{listener.getsockname()[1]}", flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
