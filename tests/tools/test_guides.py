"""A reader who follows the tutorial and then the how-to guides gets what they promise."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.support.listings import Listing, commands, is_shown, listings
from tests.support.reader import Reader
from tools.processes import START_TIMEOUT_S, wait_for

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
GUIDES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
ROLL_BACK = ROOT / "docs" / "how-to" / "roll-back.md"
STATUS = Listing("sh", ".venv/bin/python -m recommender_service.client status --json", 0)

# Containers and clusters are not there when tests run. test_commands.py compares these commands with docker-compose.yml
# and deploy/k8s; `make compose-test` runs the containers where there is an engine.
NEEDS_ENGINE = ("docker ", "docker-compose ", "kubectl ")
# Other commands of the guides that the reader does not type here, and the test that does the same, through the program
# or through the function behind its flags. test_commands.py parses the flags.
RUN_BY = {
    ".venv/bin/python -m trainer --data shop": "test_guides.py::test_the_tutorial_leads_from_a_csv_to_a_page",
    "make serve": "test_serve.py::test_serve_prints_the_address_of_the_page",
    ".venv/bin/python -m serving --port=8500 --model_name=user_embedding "
    "--model_base_path=$PWD/artifacts/models/user_embedding --max_num_load_retries=0": (
        "test_start.py::test_the_port_opens_late_and_failed_loads_are_retried"
    ),
    "WORKERS=2 METRICS_ADDRESS=127.0.0.1:9464 HEALTH_ADDRESS=127.0.0.1:50053 .venv/bin/python -m recommender_service": (
        "test_tls.py::test_workers_share_the_ports_and_replace_each_other"
    ),
    "WEB_ADDRESS=127.0.0.1:8080 .venv/bin/python -m web": "test_serve.py::test_serve_prints_the_address_of_the_page",
    "make dev-certs": "test_access.py::test_only_their_owner_can_read_the_files",
    "make serve CERTS=certs": "test_access.py::test_the_stack_answers_with_tls_and_a_token",
    "grpcurl -cacert certs/ca.pem -cert certs/client.pem -key certs/client.key "
    '-H "authorization: Bearer $(cat certs/token)" -d \'{"user_id": 418}\' localhost:50051 '
    "recommender.v1.RecommenderService/Recommend": "test_access.py::test_grpcurl_uses_tls_and_a_token",
    "grpcurl -cacert certs/ca.pem -d '{\"user_id\": 418}' localhost:50051 "
    "recommender.v1.RecommenderService/Recommend": "test_access.py::test_grpcurl_uses_tls_and_a_token",
    "TLS_CERTIFICATE=server.pem TLS_KEY=server.key TLS_CLIENT_CA=clients-ca.pem "
    ".venv/bin/python -m recommender_service": "test_tls.py::test_a_client_needs_a_certificate_of_the_authority",
    "SIGNING_KEY_FILE=release.key .venv/bin/python -m trainer --data shop": (
        "test_signatures.py::test_a_trained_release_is_signed_and_served"
    ),
    "VERIFY_KEY_FILE=release.key .venv/bin/python -m recommender_service": (
        "test_signatures.py::test_a_trained_release_is_signed_and_served"
    ),
    "EVENTS_URL=sqlite:///artifacts/events/events.db .venv/bin/python -m trainer watch --data shop --every 6h "
    "--min-new-events 1000": "test_watch.py::test_it_trains_prunes_and_stops",
    ".venv/bin/python -m trainer --data shop --force": (
        "test_gate.py::test_a_model_that_learned_nothing_is_not_published"
    ),
    ".venv/bin/python -m trainer compare --data shop --seeds 1": (
        "test_comparison.py::test_models_that_learn_beat_popularity"
    ),
    ".venv/bin/python -m trainer compare --data shop --seeds 3 --learning-rate 0.01 --recency 1": (
        "test_comparison.py::test_models_that_learn_beat_popularity"
    ),
    ".venv/bin/python -m trainer --data shop --learning-rate 0.01 --recency 1": (
        "test_training.py::test_the_same_seed_gives_the_same_release"
    ),
    ".venv/bin/python -m trainer report --data shop": (
        "test_report.py::test_a_report_is_one_page_and_logs_for_tensorboard"
    ),
    "WORKERS=4 USER_CACHE_SIZE=100000 .venv/bin/python -m recommender_service": (
        "test_workers.py::test_a_client_that_lives_long_reaches_every_worker"
    ),
}

needs_grpcurl = pytest.mark.skipif(shutil.which("grpcurl") is None, reason="grpcurl is not on the PATH")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with ExitStack() as second_terminal:
        yield Reader(tmp_path_factory.mktemp("clone"), second_terminal)


@pytest.fixture(scope="module")
def after_tutorial(reader: Reader) -> list[tuple[Listing, str]]:
    """The listings of the tutorial, and what was printed by the last command before or at each."""
    done: list[tuple[Listing, str]] = []
    for listing in listings(TUTORIAL):
        done.append((listing, reader.types(listing) if listing.language else done[-1][1]))
    return done


@pytest.mark.slow
@pytest.mark.timeout(1800)  # several training runs; a busy machine takes a minute for one
@needs_grpcurl
def test_the_tutorial_leads_from_a_csv_to_a_page(after_tutorial: list[tuple[Listing, str]], reader: Reader) -> None:
    """Every command of the tutorial prints what is shown below it, and every address leads to a page of the shop."""
    for listing, printed in after_tutorial:
        assert listing.language or is_shown(listing.text, printed), f"{TUTORIAL.name}:{listing.line}: {printed}"
    after_hiding = after_tutorial[-1][1].partition("recorded")[2]
    assert "recommendations from the movies this user likes" in after_hiding
    assert "Space 13" not in after_hiding
    addresses = re.findall(r"<(http://localhost:8080\S*)>", TUTORIAL.read_text(encoding="utf-8"))
    assert len(addresses) == 3
    for address in addresses:
        with urlopen(reader.here(address), timeout=60) as page:
            assert "trained on shop" in page.read().decode()


@pytest.mark.slow
@pytest.mark.timeout(1800)  # several training runs; a busy machine takes a minute for one
@needs_grpcurl
@pytest.mark.long
def test_guides_can_be_followed(after_tutorial: list[tuple[Listing, str]], reader: Reader) -> None:
    """After the tutorial, the guides' commands run. Retraining leads to a newer release, and rolling back from it."""
    assert after_tutorial
    first = active_release(reader)
    type_all(reader, [page for page in GUIDES if page != ROLL_BACK])
    wait_for(lambda: active_release(reader) > first, "the new release is active", START_TIMEOUT_S)
    type_all(reader, [ROLL_BACK])
    wait_for(lambda: active_release(reader) == first, "the release before is active", START_TIMEOUT_S)


def test_other_commands_of_guides_are_run_by_tests() -> None:
    """What no reader types here stands in a guide, and is run by a test that exists."""
    shown = {command for page in GUIDES for listing in listings(page) for command in commands(listing)}
    assert RUN_BY.keys() - shown == set()
    tests = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    for test in RUN_BY.values():
        name, _, function = test.partition("::")
        assert f"\ndef {function}(" in tests[name], test


def active_release(reader: Reader) -> int:
    """The version that is served."""
    return int(json.loads(reader.types(STATUS))["release"])


def type_all(reader: Reader, pages: list[Path]) -> None:
    """Type each command of the pages that is typed here, once."""
    shown = [(command, listing) for page in pages for listing in listings(page) for command in commands(listing)]
    for command, listing in dict(shown).items():
        if command not in RUN_BY and not command.startswith(NEEDS_ENGINE):
            reader.types(Listing("sh", command, listing.line))
