"""The page over the checkerboard, where events are on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.servers import page, recommender, wait_until_serving


@pytest.fixture(scope="session")
def page_address(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a page over a recommender that records events."""
    folder = tmp_path_factory.mktemp("page")
    events = {"EVENTS_URL": f"sqlite:///{folder / 'events.db'}"}
    with recommender(checkerboard_artifacts, model_server_address, folder / "service.log", **events) as (_, service):
        wait_until_serving(service)
        with page(service, folder / "page.log") as (_, address):
            yield address
