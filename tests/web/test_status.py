"""What the page tells the person in charge, when all is well and when it is not."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import first_answer
from tests.support.crafted import change_manifest
from tests.support.pages import get
from tests.support.releases import EVEN_USER, publish_checkerboard
from tools.processes import wait_for
from tools.servers import free_port, model_server, page, recommender, wait_until_serving
from trainer.release.catalogue import releases_folder


def test_the_active_release_is_shown(page_address: str, checkerboard_artifacts: Path) -> None:
    """The version, its state, the model server's versions and the answers of users are on the page."""
    (version,) = [path.name for path in releases_folder(checkerboard_artifacts).iterdir() if path.name.isdecimal()]
    # On a busy machine the model server may not have answered the last look, or the event store not been read just now.
    all_is_well = f"Release {version} is active, and answers are as they should be"
    offered = f"Versions offered{version}"
    first_answer(
        lambda: get(page_address, "/status").text,
        lambda text: all_is_well in text and offered in text,
        f"the page says {all_is_well!r} and {offered!r}",
    )
    assert "active" in get(page_address, "/status/live").text
    curves = get(page_address, "/status").html.count('<svg viewBox="0 0 340 210" role="img"')
    assert curves == 3


@pytest.mark.slow
def test_a_release_is_compared_with_another(tmp_path: Path) -> None:
    """The page of a release has its figures, exact and as served, and how much more they are than another one's."""
    first = publish_checkerboard(tmp_path)
    folder = releases_folder(tmp_path)
    second = publish_checkerboard(tmp_path, rotate_degrees=90)
    for version, recall in ((first, 0.25), (second, 0.26)):
        exact = {"ranking": "exact", "metrics": {"recall@20": 0.3}}
        served = {"ranking": "index", "metrics": {"recall@20": recall}}
        change_manifest(folder / str(version), partial(_with_evaluations, [exact, served]))
    with (
        model_server(tmp_path, tmp_path / "models.log") as (_, target),
        recommender(tmp_path, target, tmp_path / "service.log") as (_, service),
        page(service, tmp_path / "page.log") as (_, address),
    ):
        wait_until_serving(service)  # maybe with the first release, if the model server did not answer for a moment
        wait_for(lambda: f"Release {second} is active" in get(address, "/status").text, "the second release is active")
        newest = get(address, "/release").text
        assert f"Release {second}" in newest
        assert "recall@20 – 0.3000 0.2600 0.2500 +0.0100" in newest
        assert "recall@20 – 0.3000 0.2500 0.2600 −0.0100" in get(address, "/release", {"release": first}).text
        alone = get(address, "/release", {"release": first, "with": first})
        assert "Difference" not in alone.text
        table = first_answer(
            lambda: get(address, "/status").text.partition("Releases Version")[2],
            lambda table: "model server 18" in table,
            "the model server has answered the last look",
        )
        assert "0.3000 0.2600" in table
        for missing in ({"release": 7}, {"with": 7}):
            unknown = get(address, "/release", dict(missing))
            assert (unknown.status, "do not include 7" in unknown.text) == (404, True)


@pytest.mark.slow
def test_a_refused_release_and_a_dead_model_server_are_shown(tmp_path: Path) -> None:
    """The reason of a refusal is below the table; while the model server is gone, degraded answers are counted."""
    first = publish_checkerboard(tmp_path / "artifacts")
    with model_server(tmp_path / "artifacts", tmp_path / "models.log") as (models, target):
        log = tmp_path / "service.log"
        with recommender(tmp_path / "artifacts", target, log, USER_CACHE_SIZE="0") as (_, service):
            wait_until_serving(service)
            with page(service, tmp_path / "page.log") as (_, address):
                folder, copy = releases_folder(tmp_path / "artifacts"), tmp_path / "copy"
                shutil.copytree(folder / str(first), copy)
                copy.rename(folder / str(first + 1))
                wait_for(lambda: "refused" in get(address, "/status/live").text, "the copy is refused")
                assert f"Release {first} is active" in get(address, "/status").text
                copied = get(address, "/release", {"release": first + 1})
                assert "Refused" in copied.text
                assert f"expected version {first + 1}" in copied.text
                models.stop()
                wait_for(lambda: "does not answer" in get(address, "/status/live").text, "the page shows it")
                wait_for(lambda: "answers are degraded" in get(address, "/status/live").text, "answers are degraded")
                assert "Degraded." in get(address, "/user", {"user": EVEN_USER}).text


def test_a_service_without_a_release_is_told_apart(tmp_path: Path) -> None:
    """Before the first release, pages say what the service waits for, and the status page answers."""
    releases_folder(tmp_path).mkdir(parents=True)
    with (
        recommender(tmp_path, "127.0.0.1:1", tmp_path / "service.log") as (_, service),
        page(service, tmp_path / "page.log") as (_, address),
    ):
        for path in ("/", "/newcomer", "/search", "/user?user=1", "/movie?movie=1"):
            answer = get(address, path)
            assert (answer.status, "Nothing to recommend yet" in answer.text) == (503, True)
        status = get(address, "/status")
        assert (status.status, "No release is active" in status.text) == (200, True)


@pytest.mark.slow
def test_a_service_that_is_down_is_named(tmp_path: Path) -> None:
    """Without a service, each page says so, and where it looked."""
    nobody = f"127.0.0.1:{free_port()}"
    with page(nobody, tmp_path / "page.log") as (_, address):
        for path in ("/", "/status"):
            answer = get(address, path)
            assert answer.status in (503, 504)
            assert f"The page asks it at {nobody}" in answer.text


def _with_evaluations(evaluations: list[dict[str, Any]], manifest: dict[str, Any]) -> None:
    manifest["evaluations"] = evaluations
