"""The listings of a page in Markdown: commands, programs, and what they print."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

OMITTED = "…"  # a line of a shown output that stands for any number of lines


@dataclass(frozen=True)
class Listing:
    """A fenced block of a page."""

    language: str
    """"sh", "python", or empty for an output."""

    text: str
    line: int
    """1-based line of the page where it begins."""


def listings(page: Path) -> list[Listing]:
    """The fenced blocks of a page, in order."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    return [
        Listing(token.info, token.content, token.map[0] + 1) for token in tokens if token.type == "fence" and token.map
    ]


def commands(listing: Listing) -> list[str]:
    """The commands of a listing of a shell, one each, without comments and without the input of here-documents.

    Lines that one command is spread over are joined.
    """
    found, lines = [], iter(listing.text.splitlines())
    for line in lines:
        command = line
        while command.endswith(("\\", "|")) or not _is_whole(command):
            command = command.removesuffix("\\") + "\n" + next(lines)
        here_document = re.search(r"<<'(\w+)'", command)
        while here_document and next(lines) != here_document[1]:
            pass
        words = _tokens(command)
        if words:
            found.append(" ".join(command.partition(" #")[0].split()))
    return found


def simple_commands(command: str) -> list[list[str]]:
    """The words of each program that a command starts, without redirections."""
    programs: list[list[str]] = [[]]
    tokens = iter(_tokens(command))
    for token in tokens:
        if set(token) <= set("<>"):
            next(tokens)
        elif set(token) <= set("();|&<>"):  # <( begins a program too
            programs.append([])
        else:
            programs[-1].append(token)
    return [words for words in programs if words]


def is_shown(shown: str, printed: str) -> bool:
    """Whether an output that a page shows was printed: the same lines, but for spaces and the digits of numbers.

    The shown lines may be a part of the printed ones.
    """
    printed_lines, at = [_plain(line) for line in printed.splitlines()], -1
    may_skip = True
    for line in shown.splitlines():
        if line == OMITTED:
            may_skip = True
            continue
        following = printed_lines[at + 1 :] if may_skip else printed_lines[at + 1 : at + 2]
        if _plain(line) not in following:
            return False
        at += 1 + following.index(_plain(line))
        may_skip = False
    return True


def _is_whole(command: str) -> bool:
    try:
        _tokens(command)
    except ValueError:  # a quote is open
        return False
    return True


def _tokens(command: str) -> list[str]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def _plain(line: str) -> str:
    return " ".join(re.sub(r"\d+(\.\d+)?", "0", line).split())
