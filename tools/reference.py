"""Make docs/commands.md and docs/metrics.md from the code: `python -m tools.reference`."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

import events.__main__
import recommender_service.client.__main__
import recommender_service.milvus_loader
import recommender_service.synchronise
import serving.__main__
import tools.capacity
import trainer.cli.main
from recommender_service import metrics
from recommender_service.feedback import metrics as feedback_metrics
from recommender_service.metrics_endpoint import WorkerMetrics
from trainer.cli.watch_metrics import WatchMetrics

ROOT = Path(__file__).resolve().parent.parent
COMMANDS, METRICS = "docs/commands.md", "docs/metrics.md"
GENERATED = "Generated from the code by `make docs`."
PROGRAMS: tuple[Callable[[list[str]], object], ...] = (
    trainer.cli.main.main,
    recommender_service.client.__main__.main,
    recommender_service.synchronise.main,
    recommender_service.milvus_loader.main,
    events.__main__.main,
    tools.capacity.main,
    serving.__main__.main,
)
SHARED = 2  # an argument of so many commands is explained once
ENDINGS = {"counter": "_total", "info": "_info"}  # that Prometheus shows after the names of these types


def main() -> int:
    """Write both pages and return the exit status."""
    for name, text in references().items():
        (ROOT / name).write_text(text, encoding="utf-8")
    return 0


def references() -> dict[str, str]:
    """The generated pages by their paths."""
    return {COMMANDS: _commands(), METRICS: _metrics()}


def _commands() -> str:
    lines = ["# Command lines", "", f"{GENERATED} [settings.md](settings.md) explains the trainer's flags.", ""]
    for program in PROGRAMS:
        lines += _command(parser_of(program), level=2)
    return "\n".join(lines).rstrip() + "\n"


def parser_of(program: Callable[[list[str]], object]) -> argparse.ArgumentParser:
    """The parser that a program makes of its arguments. No variable of the environment changes its defaults."""
    made: list[argparse.ArgumentParser] = []

    def hand_over(parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        made.append(parser)
        sys.exit()

    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with (
        patch.object(argparse.ArgumentParser, "parse_args", hand_over),
        patch.dict(os.environ, environment, clear=True),
    ):
        try:
            program([])
        except SystemExit:
            return made[0]
    raise AssertionError(f"{program.__module__}: expected that it parses its arguments")


def _command(parser: argparse.ArgumentParser, level: int, what: str = "", shared: Sequence[str] = ()) -> Iterator[str]:
    """A section about a command, and one for each command below it.

    what: the help of the command above it.  shared: rows that the section above has, so that they are only named here.
    """
    rows, below = _rows(parser), _below(parser)
    own = [row for row in rows if row not in shared]
    yield from ("#" * level + f" {parser.prog}", "", _sentence(what or (parser.description or "").split("\n\n")[0]), "")
    named = [row.split("`")[1].split(" ")[0] for row in rows if row in shared]
    if named:
        yield from (f"It also takes {', '.join(f'`{name}`' for name in named)}, as other commands do.", "")
    yield from _table(own)
    counted = Counter(row for subparser, _ in below for row in _rows(subparser))
    common = [row for row, number in counted.items() if number >= SHARED]
    if common:
        yield from ("#" * (level + 1) + f" What several commands of {parser.prog} take", "", *_table(common))
    for subparser, its_what in below:
        yield from _command(subparser, level + 1, its_what, common)


def _rows(parser: argparse.ArgumentParser) -> list[str]:
    """A row for each argument of the parser itself."""
    left_out = (argparse._SubParsersAction, argparse._HelpAction)
    actions = [action for action in parser._actions if not isinstance(action, left_out)]
    return [f"| `{_cell(_words(action))}` | {_cell(_help(action, parser))} |" for action in actions]


def _below(parser: argparse.ArgumentParser) -> list[tuple[argparse.ArgumentParser, str]]:
    """The parsers of the commands below a parser, and the help of each."""
    below = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            whats = {choice.dest: choice.help or "" for choice in action._choices_actions}
            below += [(subparser, whats[name]) for name, subparser in action.choices.items()]
    return below


def _table(rows: list[str]) -> list[str]:
    return ["| argument | meaning |", "|---|---|", *rows, ""] if rows else []


def _words(action: argparse.Action) -> str:
    """What is typed for an argument, such as `-n, --limit LIMIT`."""
    choices = " or ".join(map(str, action.choices or ()))
    value = action.metavar if isinstance(action.metavar, str) else choices or action.dest.upper().replace("-", "_")
    shapes = {0: "", "+": f"{value} …", "*": f"[{value} …]", "?": f"[{value}]"}
    value = value if action.nargs is None else shapes.get(action.nargs, value)
    return " ".join(part for part in (", ".join(action.option_strings), value) if part)


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """The help of an argument, with its default, and whether it must be given."""
    text = (action.help or "") % {**vars(action), "prog": parser.prog}
    is_told = "default" in text or action.default is False or action.default in (None, "", [], argparse.SUPPRESS)
    default = "" if is_told else f"default: {action.default}"
    required = "required" if action.required and action.option_strings else ""
    return "; ".join(part for part in (text, default, required) if part)


def _metrics() -> str:
    service = [
        *_declared(vars(metrics).values()),
        *_declared(vars(feedback_metrics).values()),
        *(_metric(family, family) for family in metrics.Tallies().collect()),
        *(_metric(family, family) for family in WorkerMetrics({}, {}).collect()),
    ]
    watch = _declared(vars(WatchMetrics("")).values())
    head = ["| metric | type | labels | what it tells |", "|---|---|---|---|"]
    where = "[operations.md](operations.md#at-3-am) says how to scrape them, and what to do."
    lines = ["# Metrics", "", f"{GENERATED} {where}", ""]
    lines += ["## The service", "", "At `METRICS_ADDRESS`. With several workers, each has the label `worker` too.", ""]
    lines += [*head, *service, ""]
    lines += ["## The trainer", "", "At the `--metrics-address` of `trainer watch`.", "", *head, *watch]
    return "\n".join(lines) + "\n"


def _declared(values: Iterable[object]) -> list[str]:
    """A row for each metric among the values."""
    declared = [value for value in values if isinstance(value, MetricWrapperBase)]
    return [_metric(family, metric) for metric in declared for family in metric.describe()]


def _metric(family: Metric, labelled: Metric | MetricWrapperBase) -> str:
    """A row.  labelled: what knows the names of the labels, which no public attribute tells."""
    labels = ", ".join(f"`{label}`" for label in vars(labelled)["_labelnames"])
    name = family.name + ENDINGS.get(family.type, "")
    return f"| `{name}` | {family.type} | {labels} | {_cell(family.documentation)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


if __name__ == "__main__":
    sys.exit(main())
