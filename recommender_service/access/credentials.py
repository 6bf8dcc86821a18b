"""The credentials that the settings name: loaded at the start, and replaced when their files change."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from recommender_service.access.follow import follow
from recommender_service.access.server_tls import ServerTls
from recommender_service.access.token_file import parse_grants
from recommender_service.access.tokens import Tokens
from recommender_service.model_server import ModelServer
from recommender_service.settings import Settings

if TYPE_CHECKING:
    from recommender_service.tracing import Tracing


class Credentials:
    """What callers must show, and what this service shows to them and to the model server.

    tls: None for a port without TLS.  tokens: None if calls need none.
    """

    def __init__(self, settings: Settings, tracing: Tracing | None) -> None:
        """Load what the settings name.  tracing: as for `ModelServer`.

        Raises OSError or ValueError if files changed since the settings were read."""
        self.tls: ServerTls | None = None
        self.tokens: Tokens | None = None
        self._follow: list[Coroutine[Any, Any, None]] = []
        files = settings.server_certificates
        if files is not None:
            contents = files.read()
            self.tls = ServerTls(files.check(contents))
            self._follow.append(follow("certificates", files.read, files.check, self.tls.use, contents))
        if settings.token_file is not None:
            content = settings.token_file.read_bytes()
            check = partial(parse_grants, str(settings.token_file))
            self.tokens = Tokens(check(content))
            self._follow.append(follow("tokens", settings.token_file.read_bytes, check, self.tokens.use, content))
        self.model_server = self._connect(settings, tracing)

    def follow(self) -> list[Coroutine[Any, Any, None]]:
        """Coroutines that run for ever and put new files to use."""
        return self._follow

    def _connect(self, settings: Settings, tracing: Tracing | None) -> ModelServer:
        """A client of the model server, with the credentials for it."""
        files = settings.model_server_certificates
        if files is None:
            return ModelServer(settings.tf_serving_address, tracing=tracing)
        contents = files.read()
        model_server = ModelServer(
            settings.tf_serving_address, files.check(contents), settings.model_server_name, tracing
        )
        what = "certificates for the model server"
        self._follow.append(follow(what, files.read, files.check, model_server.use, contents))
        return model_server
