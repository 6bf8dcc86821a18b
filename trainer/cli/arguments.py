"""The command line's flags."""

from __future__ import annotations

import argparse
import os

from console.flags import add_completion, add_path, add_version
from trainer.cli.shared_arguments import ARTIFACTS, add_artifacts, add_data, add_k, add_model, add_reading
from trainer.cli.values import address, duration, not_negative_int, positive_float, positive_int, release, share

COMMAND = "recommender-trainer"  # the program's name once the package is installed
OF_THE_PROGRAM = ("-h", "--help", "--version", "--print-completion")  # flags that no command may come before
ANNOY, CHEAPEST = "annoy", "cheapest"


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the flags; without a command, it is `train`. Exits with status 2 and a usage line if a flag is wrong."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description="Trains movie recommendations.")
    add_version(parser)
    add_completion(parser, COMMAND)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_train(commands.add_parser("train", help="evaluate, fit on all ratings, publish a release (the default)"))
    _add_watch(commands.add_parser("watch", help="look for new events by the clock, and train if there are enough"))
    _add_inspect(commands.add_parser("inspect", help="print what is understood of ratings, and their oddest rows"))
    _add_evaluate(commands.add_parser("evaluate", help="fit on one file of ratings, score against another"))
    _add_compare(commands.add_parser("compare", help="score the model and the baselines on one split of a data set"))
    _add_tune(commands.add_parser("tune", help="search hyperparameters on an inner split, for a given time"))
    _add_report(commands.add_parser("report", help="write an HTML page about a release"))
    _add_releases(commands.add_parser("releases", help="list, prune or roll back the published releases; canaries"))
    if not argv or argv[0].partition("=")[0] not in (*commands.choices, *OF_THE_PROGRAM):
        argv = ["train", *argv]
    arguments = parser.parse_args(_joined(argv))
    if arguments.command in ("train", "watch") and arguments.min_new_events and not arguments.events:
        parser.error("--min-new-events and watch: expected --events URL or EVENTS_URL with them, got neither")
    return arguments


def _joined(argv: list[str]) -> list[str]:
    """Return the words with `--rating-scale -10:10` as one: argparse takes what starts with a minus for a flag."""
    words = list(argv)
    for at, word in enumerate(words[:-1]):
        if word == "--rating-scale" and words[at + 1][:1] == "-" and ":" in words[at + 1]:
            words[at : at + 2] = [f"{word}={words[at + 1]}"]
    return words


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--force",
        action="store_true",
        help="publish even if the figures are worse than those of popular movies, of the previous release, or of exact "
        "search; the release's manifest then says so",
    )
    parser.add_argument(
        "--if-none", action="store_true", help="do nothing if a release that can be served is already there"
    )
    parser.add_argument(
        "--min-new-events",
        type=not_negative_int,
        default=0,
        metavar="N",
        help="do nothing if fewer events are newer than the newest release and no user was forgotten since; for a job "
        "that runs by the clock (default: %(default)s)",
    )
    parser.add_argument(
        "--worker-timeout",
        type=duration,
        default="10m",
        metavar="TIME",
        help="how long to wait for the other workers that TF_CONFIG names to start (default: %(default)s)",
    )
    _add_publishing(parser)


def _add_watch(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(force=False, if_none=False, worker_timeout=0.0)
    parser.add_argument(
        "--every", type=duration, default="6h", metavar="TIME", help="such as 90s, 30m, 6h, 1d (default: %(default)s)"
    )
    parser.add_argument(
        "--min-new-events",
        type=not_negative_int,
        default=1000,
        metavar="N",
        help="train if so many events are newer than the newest release, or if a user was forgotten since (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--keep", type=positive_int, default=2, help="how many of the newest releases to keep (default: %(default)s)"
    )
    parser.add_argument(
        "--metrics-address",
        type=address,
        default=os.environ.get("METRICS_ADDRESS", ""),
        metavar="HOST:PORT",
        help="where Prometheus can scrape /metrics (default: $METRICS_ADDRESS; nowhere if that is empty)",
    )
    _add_publishing(parser)


def _add_publishing(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every command that trains and publishes."""
    add_data(parser)
    add_artifacts(parser)
    parser.add_argument(
        "--canary",
        type=share,
        metavar="SHARE",
        help="let the new release serve only this share of the users, such as 5%%, until `releases promote` or "
        "`releases withdraw`; until then, nothing more is published",
    )
    _add_events(parser)
    parser.add_argument(
        "--index",
        choices=(ANNOY, CHEAPEST),
        default=ANNOY,
        help="what finds the nearest movies: the Annoy index wherever it is nearly as fast as a scan of all vectors, "
        "or the one that costs less when many calls arrive together (default: %(default)s)",
    )
    parser.add_argument(
        "--liked-only",
        action="store_true",
        help="never recommend a movie that nobody liked; without this flag they are, where genres, year, title and "
        "tags are measured to rank held-out movies well",
    )
    add_reading(parser)
    add_model(parser)


def _add_events(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--events",
        default=os.environ.get("EVENTS_URL", ""),
        metavar="URL",
        help="merge the events of this store with the ratings (default: $EVENTS_URL; none if that is empty)",
    )


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_reading(parser)


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "--train", required=True, metavar="T.csv", help="ratings to fit on")
    add_path(parser, "--test", required=True, metavar="E.csv", help="ratings to score against")
    add_path(parser, "--movies", metavar="M.csv", help="a list of movies that must have every rated one")
    add_path(parser, "--json", metavar="FILE", help="also write the figures to this file")
    add_k(parser)
    add_reading(parser)
    add_model(parser)


def _add_compare(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument(
        "--seeds", type=positive_int, default=3, help="how many seeds the model is fitted with (default: %(default)s)"
    )
    add_k(parser)
    add_reading(parser)
    add_model(parser)


def _add_tune(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    parser.add_argument(
        "--seconds", type=positive_float, default=600.0, help="how long to search (default: %(default)g)"
    )
    add_path(
        parser,
        "--study",
        folder=True,
        default=ARTIFACTS / "tuning",
        help="folder that keeps the trials, for a later search to continue from (default: %(default)s)",
    )
    add_reading(parser)
    add_model(parser)


def _add_report(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_artifacts(parser)
    _add_events(parser)
    parser.add_argument("--release", type=release, help="the release's version (default: the newest)")
    add_reading(parser)


def _add_releases(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(action="list", artifacts=ARTIFACTS)
    actions = parser.add_subparsers(dest="action")
    listing = actions.add_parser("list", help="versions, data, metrics and sizes, oldest first (the default)")
    prune = actions.add_parser("prune", help="remove old releases with their models, but none that is in use")
    prune.add_argument(
        "--keep", type=positive_int, default=2, help="how many of the newest to keep (default: %(default)s)"
    )
    prune.add_argument(
        "--force", action="store_true", help="also remove what may be in use because the file system has no file locks"
    )
    rollback = actions.add_parser("rollback", help="withdraw the newest release, so that the one before it is served")
    canary = actions.add_parser("canary", help="let the newest release serve only a share of the users, or change it")
    canary.add_argument("version", type=release, help="the newest release")
    canary.add_argument("--share", type=share, required=True, help="of the users, such as 5%%")
    promoted = actions.add_parser("promote", help="let the canary serve all users")
    withdrawn = actions.add_parser("withdraw", help="withdraw the canary, so that the older release serves all users")
    for action in (listing, prune, rollback, canary, promoted, withdrawn):
        add_artifacts(action)
