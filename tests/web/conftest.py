"""The page over the checkerboard, where events are on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import get
from tools.processes import START_TIMEOUT_S, wait_for
from tools.servers import page, recommender, wait_until_serving


@pytest.fixture(scope="session")
def page_address(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a page over a recommender that records events.

    The recommender has the embeddings of its users in its cache, so whether the model server answers matters no more.
    """
    folder = tmp_path_factory.mktemp("page")
    events = {"EVENTS_URL": f"sqlite:///{folder / 'events.db'}"}
    with recommender(checkerboard_artifacts, model_server_address, folder / "service.log", **events) as (_, service):
        wait_until_serving(service)
        with page(service, folder / "page.log") as (_, address):
            all_is_well = "answers are as they should be"
            wait_for(lambda: all_is_well in get(address, "/status").text, all_is_well, START_TIMEOUT_S)
            yield address
