"""Events that a visitor records for a user: hidden, watched, or neither after all."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from movie_recommender_client import AsyncRecommender
from movie_recommender_client.requests import event
from movie_recommender_client.v1 import recommender_pb2 as api
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from web.choices import BadChoice, Filters, address, chosen_id, chosen_user

MAX_FORM_BYTES = 8_192
KINDS = {
    "hidden": api.EVENT_KIND_HIDDEN,
    "watched": api.EVENT_KIND_WATCHED,
    "removed": api.EVENT_KIND_REMOVED,
}
DONE = {"hidden": "is hidden", "watched": "counts as watched", "removed": "is as it was before"}


class Recording:
    """Records an event, then leads back to the user's page."""

    def __init__(self, recommender: AsyncRecommender) -> None:
        self._recommender = recommender

    async def record(self, request: Request) -> Response:
        """Record the event of a form.  Raises BadChoice, HTTPException, RecommenderError."""
        if not _from_this_page(request):
            raise HTTPException(403, "Only forms of this page may record events")
        form = await _form(request)
        status = await self._recommender.serving_status()
        who = chosen_user(form, status.users_have_keys)
        movie = chosen_id(form, "movie", status.movies_have_keys)
        kind = form.get("kind", "")
        if kind not in KINDS:
            raise BadChoice(f"kind: expected one of {', '.join(KINDS)}; got {kind[:40]!r}")
        answer = await self._recommender.record_events([event(who[1], movie, KINDS[kind])])
        if answer.rejected:
            raise BadChoice(f"{answer.rejected[0].field}: {answer.rejected[0].reason}")
        done = [("done", kind), ("movie", movie)]
        return RedirectResponse(address("/user", who, Filters.of(form).parameters(), done), 303)


def _from_this_page(request: Request) -> bool:
    """Whether no other site sent the form. A browser says which one did; what is no browser obeys no site."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise HTTPException(413, f"A form may have {MAX_FORM_BYTES} bytes")
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
