"""The error for data that cannot be used, and the slow pass over a text file that finds a line for its message."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path

from trainer.data.text_files import CHUNK_BYTES, TextForm, open_utf8

SHOWN_CHARACTERS = 40
MAX_FIELD = 1 << 20  # characters; a quote that is never closed makes one longer field of the rest of the file


class DataError(ValueError):
    """The data cannot be used as they are: the message names the file, the line, what was expected and what came."""


def shown(text: str) -> str:
    """The text in quotes, cut to 40 characters, for a message."""
    return repr(text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…")


def records(path: Path, form: TextForm, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """(1-based first line, fields) of every record below the header; empty lines are left out.

    strict: raises DataError for text after a closing quote, and for a quote that is never closed.
    """
    limit = csv.field_size_limit(MAX_FIELD)
    line = 1
    try:
        with io.TextIOWrapper(open_utf8(path, form), encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(
                file,
                delimiter=form.delimiter,
                quoting=csv.QUOTE_MINIMAL if form.quoted else csv.QUOTE_NONE,
                escapechar="\\" if form.escaped else None,
                strict=strict,
            )
            header = form.has_header
            for fields in reader:
                if fields and not header:
                    yield line, fields
                header = header and not fields
                line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{line}: the quotes of this record do not match ({error}): expected every quote that opens a "
            'field to be closed, and a quote inside a field to be written twice ("")'
        ) from error
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DataError(f"{path}:{line}: expected text in {form.encoding}, got byte 0x{byte:02x}") from error
    finally:
        csv.field_size_limit(limit)


def records_at(path: Path, form: TextForm, rows: Collection[int]) -> dict[int, tuple[int, str]]:
    """(1-based line, text) of rows counted from 0: reads the file up to the last of them."""
    found: dict[int, tuple[int, str]] = {}
    if not form.quoted:
        return _plain_records_at(path, form, sorted(rows))
    for row, (line, fields) in enumerate(records(path, form)):
        if row in rows:
            found[row] = (line, form.separator.join(fields))
        if len(found) == len(rows):
            break
    return found


def _plain_records_at(path: Path, form: TextForm, rows: Sequence[int]) -> dict[int, tuple[int, str]]:
    """`records_at` where every line that is not empty is a record: ten times as fast."""
    found: dict[int, tuple[int, str]] = {}
    line, record, rest = 0, -int(form.has_header), b""
    with open_utf8(path, form) as file:
        while len(found) < len(rows):
            chunk = file.read(CHUNK_BYTES)
            lines = (rest + chunk).splitlines(keepends=True)
            rest = lines.pop() if chunk and lines else b""  # it may go on in the next chunk, "\n" after "\r" as well
            for row in rows[len(found) :]:
                if row >= record + len(lines):
                    break
                at = next(islice((at for at, text in enumerate(lines) if _is_filled(text)), row - record, None), None)
                if at is None:
                    break
                text = lines[at].decode().strip("\r\n").replace(form.delimiter, form.separator)
                found[row] = (line + at + 1, text)
            line += len(lines)
            record += sum(map(_is_filled, lines))
            if not chunk:
                break
    return found


def _is_filled(line: bytes) -> bool:
    return line not in (b"\n", b"\r\n", b"\r", b"")


def check_widths(path: Path, form: TextForm) -> None:
    """Raises DataError for the first record that has too many or too few fields, and if there is none."""
    line = 0
    for line, fields in records(path, form):
        if len(fields) != len(form.columns):
            names = ", ".join(form.columns[:8]) + (", …" if len(form.columns) > 8 else "")
            raise DataError(f"{path}:{line}: expected {len(form.columns)} fields ({names}), got {len(fields)}")
    if not line:
        raise DataError(f"{path}: expected at least one row below the header; the file holds none")
