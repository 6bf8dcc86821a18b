"""The command-line client, run as a process."""

from __future__ import annotations

import json
from functools import partial

import pytest

from recommender_service.client.table import display_width, format_table, shorten
from tests.support.answers import first_answer
from tests.support.command_line import client
from tests.support.releases import EVEN_USER, TITLES, UNKNOWN_MOVIE, UNKNOWN_USER, UNRATED_MOVIE


def test_recommend_prints_a_table_of_titles(recommender_address: str) -> None:
    """The command `recommend` prints a heading, a header and a line for each movie."""
    run = client(recommender_address, "recommend", str(EVEN_USER), "-n", "2")
    assert run.returncode == 0
    heading, header, first, second = run.stdout.splitlines()
    assert heading.startswith(f"user {EVEN_USER}: personal recommendations, release 2")
    assert header.split() == ["#", "score", "movie", "title", "genres"]
    assert first.split()[:3] == ["1", "0.998", "4"]
    assert TITLES[4] in first
    assert TITLES[6] in second


def test_recommend_says_that_movies_are_popular_ones(recommender_address: str) -> None:
    """For an unknown user the client says that the movies are popular ones and which ids are unknown."""
    run = client(recommender_address, "recommend", str(UNKNOWN_USER), "--exclude", "1", "--exclude", "777")
    assert "popular movies" in run.stdout
    assert "unknown to the release: 777" in run.stdout


def test_similar_names_the_movie_it_was_asked_about(recommender_address: str) -> None:
    """The command `similar` prints the title of the given movie above its neighbours."""
    run = client(recommender_address, "similar", "2", "-n", "3")
    assert run.stdout.startswith(f"like {TITLES[2]}, release ")
    assert len(run.stdout.splitlines()) == 5


def test_movies_may_be_given_by_title(recommender_address: str) -> None:
    """A misspelt title stands for the movie it is found to be, which standard error names."""
    run = client(recommender_address, "similar", "amelei", "-n", "1", "--exclude", "movie 12", "--exclude", "2")
    assert run.stdout.startswith(f"like {TITLES[4]}, release ")
    assert f"'amelei': movie 4, {TITLES[4]}\n" in run.stderr
    assert "'movie 12': movie 12, Movie 12 (2002)\n" in run.stderr


def test_recommend_for_liked_movies_shows_reasons(recommender_address: str) -> None:
    """Without a user id, `--like` leads to recommendations, and `--explain` adds a column of reasons."""
    run = client(
        recommender_address, "recommend", "--like", "2", "--like", "4", "-n", "2", "--explain", "--to-year", "2000"
    )
    heading, header, first, _ = run.stdout.splitlines()
    assert heading.startswith("somebody new: recommendations from the movies this user likes, release ")
    assert header.endswith("because of")
    assert TITLES[4] in first


def test_a_flag_leaves_the_user_alone(recommender_address: str) -> None:
    """Flags that may be given several times take one value each; the user may come after them."""
    run = client(recommender_address, "recommend", "--genre", "Drama", "--like", "2", str(EVEN_USER), "-n", "1")
    assert run.stdout.startswith(f"user {EVEN_USER}: ")


def test_a_title_may_be_a_number(recommender_address: str) -> None:
    """After `title:`, a number is what a title or a year has; without it, it is an id."""
    run = client(recommender_address, "similar", "title:1991", "-n", "1")
    assert run.stdout.startswith("like Movie 1 (1991), release ")
    assert "movie 1991 is not in release" in client(recommender_address, "similar", "1991").stderr


@pytest.mark.slow
def test_events_are_recorded_from_the_command_line(events_address: str) -> None:
    """The commands watch, rate, hide and remove record an event each; a movie may be given by title."""
    user = "2000000"
    for command in (["rate", user, "1", "5"], ["hide", user, "movie 3"], ["watch", user, "5"], ["remove", user, "5"]):
        run = client(events_address, *command)
        assert (run.returncode, run.stdout) == (0, "recorded\n"), run.stderr
    run = client(events_address, "recommend", user, "-n", "2", "--json")
    assert {scored["movie"]["movie_id"] for scored in json.loads(run.stdout)["movies"]} == {"5", "7"}
    is_read = "newer than the release; the store is read"
    first_answer(lambda: client(events_address, "status").stdout, lambda status: is_read in status, "the store is read")
    wrong = client(events_address, "rate", user, "1", "nan")
    assert (wrong.returncode, wrong.stderr) == (1, "error: rating: expected -1,000,000 to 1,000,000, got nan\n")


def test_without_a_store_the_client_says_that_events_are_off(recommender_address: str) -> None:
    """The error names the setting."""
    run = client(recommender_address, "watch", "1", "1")
    assert run.returncode == 1
    assert "EVENTS_URL" in run.stderr


def test_recommend_filters_by_genre(recommender_address: str) -> None:
    """The options `--genre` and `--exclude-genre` restrict the list."""
    run = client(recommender_address, "recommend", str(EVEN_USER), "--genre", "comedy", "--exclude-genre", "Drama")
    assert len(run.stdout.splitlines()) == 3
    assert TITLES[4] in run.stdout


def test_similar_says_if_only_genres_and_year_count(recommender_address: str) -> None:
    """The heading says so if nobody has liked the given movie."""
    run = client(recommender_address, "similar", "nobody came", "-n", "1")
    assert run.stdout.startswith(f"like {TITLES[UNRATED_MOVIE]} by genres, year and title (nobody has liked it yet)")


def test_search_lists_ids_and_titles(recommender_address: str) -> None:
    """The command `search` prints movie ids, or one sentence and status 1 if nothing is found."""
    run = client(recommender_address, "search", "fabuleux", "destin")
    assert run.stdout.splitlines()[1].split()[0] == "4"
    nothing = client(recommender_address, "search", "zzyzx")
    assert (nothing.returncode, nothing.stdout) == (1, "no title is near that\n")


@pytest.mark.parametrize(
    "arguments", [["recommend", "10"], ["similar", "2"], ["search", "movie"], ["status"]], ids=lambda a: a[0]
)
def test_json_has_the_field_names_of_the_proto(recommender_address: str, arguments: list[str]) -> None:
    """With `--json` every command prints the response as JSON."""
    run = client(recommender_address, *arguments, "--json")
    assert run.returncode == 0
    assert int(json.loads(run.stdout)["release"]) > 2 * 10**13


def test_status_shows_releases_and_the_model_server(recommender_address: str) -> None:
    """The command `status` prints the active release, the model server and the state of each release."""
    # On a busy machine the model server may not have answered the last look.
    status = partial(client, recommender_address, "status")
    run = first_answer(status, lambda run: "AVAILABLE: 2" in run.stdout, "the model server's versions are listed")
    assert run.returncode == 0
    assert run.stdout.startswith("active release  2")
    assert "trained on hand-made" in run.stdout
    assert "ACTIVE" in run.stdout.splitlines()[-1]


def test_health_exits_with_0_if_serving(recommender_address: str) -> None:
    """The command `health` prints SERVING and exits with 0."""
    run = client(recommender_address, "health")
    assert (run.returncode, run.stdout) == (0, "SERVING\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["recommend", "--", "-1"], "error: INVALID_ARGUMENT: user_id: expected an id of 0 or more, got -1"),
        (["similar", "zzyzx"], "error: no title is near 'zzyzx'"),
        (["similar", str(UNKNOWN_MOVIE)], f"error: NOT_FOUND: movie {UNKNOWN_MOVIE} is not in release "),
    ],
)
def test_errors_are_one_sentence_and_status_1(recommender_address: str, arguments: list[str], complaint: str) -> None:
    """An error of a call is printed as one line, and the exit status is 1."""
    run = client(recommender_address, *arguments)
    assert run.returncode == 1
    assert run.stderr.startswith(complaint)
    assert run.stderr.count("\n") == 1


def test_no_server_is_one_sentence_and_status_3() -> None:
    """If no recommender answers, the client says so in one line and exits with 3."""
    run = client("127.0.0.1:1", "recommend", "1")
    assert run.returncode == 3
    assert run.stderr.startswith("error: no recommender answers at 127.0.0.1:1")


def test_wrong_usage_is_status_2(recommender_address: str) -> None:
    """Wrong arguments end the client with status 2."""
    assert client(recommender_address, "recommend", "1", "-n", "many").returncode == 2


def test_columns_line_up_for_wide_and_combining_characters() -> None:
    """The width of a table cell is counted in columns of the terminal, not in characters."""
    lines = format_table(["title", "n"], [["千と千尋", "1"], ["Ame\u0301lie", "2"], ["Heat", "3"]]).splitlines()
    assert {display_width(line) for line in lines[1:]} == {display_width("千と千尋") + 3}
    assert shorten("千と千尋の神隠し", 7) == "千と千…"
    assert shorten("Heat", 4) == "Heat"
