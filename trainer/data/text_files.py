"""Text files as bytes: compression, encoding, separator, and whether they are text at all."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from charset_normalizer import from_bytes

from trainer.data.lent_bytes import LentBytes
from trainer.data.shown_file import ShownFile

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 1 << 16
MAX_LINE_BYTES = 4 << 20  # a line that is longer is no record of a rating or a movie
MAX_SAMPLE_BYTES = 1 << 16  # of lines with letters beyond ASCII, enough to tell an encoding by
DOUBLE_COLON, UNIT_SEPARATOR = "::", "\x1f"  # pyarrow splits at one character only
# of files that are not UTF-8; the commonest first
ENCODINGS = (
    "cp1252 cp1251 cp1250 gb18030 cp932 cp949 big5 cp1254 cp1253 cp1256 cp1255 cp1257 cp1258 cp874 koi8_r euc_jp "
    "mac_roman"
).split()
SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", "::": "double colons", " ": "spaces"}
PACKED = {"gz": "gzip", "zst": "zstd", "bz2": "bz2", "lz4": "lz4"}  # endings, and what pyarrow calls them
_ESCAPED_QUOTE = re.compile(rb'\\"[^",;|\t\r\n]')  # not a field that ends in a backslash
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_BINARY = {
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"\x1f\x8b": "gzip without the ending .gz",
    b"\x28\xb5\x2f\xfd": "zstd without the ending .zst",
    b"PAR1": "Parquet without the ending .parquet",
    b"SQLite": "an SQLite database",
}


class NotText(ValueError):
    """The file's content cannot be read as text; the message says what it is, without the file's name."""


@dataclass(frozen=True)
class TextForm:
    """How a text file is written.  columns: names in order.  separator: a character, or "::".  encoding: Python's name.

    quoted: whether a field may stand in double quotes.  escaped: whether a backslash stands before quotes in a field.
    """

    columns: tuple[str, ...]
    has_header: bool
    separator: str
    encoding: str
    quoted: bool
    escaped: bool = False

    @property
    def delimiter(self) -> str:
        """The one character that `open_utf8` puts between fields."""
        return UNIT_SEPARATOR if self.separator == DOUBLE_COLON else self.separator

    @property
    def is_guessed(self) -> bool:
        """Whether the encoding was told from the letters alone."""
        return self.encoding in ENCODINGS

    def __str__(self) -> str:
        name = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16"}.get(self.encoding, self.encoding)
        name += ", a guess: save it as UTF-8 if letters are wrong" if self.is_guessed else ""
        return f"{name}, separated by {SEPARATOR_NAMES[self.separator]}"


@dataclass(frozen=True)
class Content:
    """What one pass over a whole file finds.  encoding: Python's name.  has_quotes: below the first line."""

    encoding: str
    has_quotes: bool
    has_escaped_quotes: bool


def open_bytes(path: Path, doing: str | None = None) -> pa.NativeFile:
    """The file's bytes, unpacked if its name ends in .gz, .zst, .bz2 or .lz4.  Raises OSError.

    doing: what a bar on the terminal says while the whole file is read; None: no bar.
    """
    if doing is None:
        return pa.input_stream(str(path), compression="detect")
    packed = path.suffix.removeprefix(".").casefold()
    return pa.input_stream(ShownFile(path, doing), compression=PACKED.get(packed))


def open_utf8(path: Path, form: TextForm, doing: str | None = None) -> pa.NativeFile:
    """The file's bytes as UTF-8, with `form.delimiter` between the fields.  doing: as above.  Raises OSError."""
    stream = open_bytes(path, doing)
    if form.encoding in ("utf-8", "utf-8-sig") and form.separator != DOUBLE_COLON:
        return stream
    return pa.TransformInputStream(stream, _to_utf8(form))


def head(path: Path) -> str:
    """The first lines, at most 64 KiB, for recognising columns: decoded well enough for that.

    Raises NotText for what is plainly not a table of text, and OSError.
    """
    with open_bytes(path) as file:
        start: bytes = file.read(HEAD_BYTES)
    for magic, name in _BINARY.items():
        if start.startswith(magic):
            raise NotText(f"expected text or Parquet, got {name}")
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), None)
    if encoding != "utf-16" and b"\0" in start:
        raise NotText("expected text, got bytes that are no text")
    text = start.decode(encoding or "utf-8", errors="replace")
    if re.match(r"\s*[{\[]", text):
        raise NotText("expected a table with a header, got JSON: convert it to CSV or Parquet")
    if len(start) == HEAD_BYTES and not re.search(r"[\r\n]", text):
        raise NotText(f"expected a header, got a first line of more than {HEAD_BYTES:,} bytes")
    return text


def content_of(path: Path, otherwise: str | None = None) -> Content:
    """Reads the whole file once.  otherwise: the encoding of what is not UTF-8; None to have it recognised.

    Raises NotText, with the line at the start of its message, and OSError.
    """
    letters, quotes, escaped, encoding = _Letters(), False, False, "utf-8"
    before, line_length = b"", 0  # bytes before this chunk: the last two, and how many there are of the last line
    with open_bytes(path, f"checking {path.name}") as file:
        while chunk := file.read(CHUNK_BYTES):
            if not letters.num_lines:
                encoding = next((name for mark, name in _BYTE_ORDER_MARKS if chunk.startswith(mark)), encoding)
            below_header = chunk if letters.num_lines else re.split(rb"[\r\n]", chunk, maxsplit=1)[-1]
            quotes = quotes or b'"' in below_header
            escaped = escaped or _ESCAPED_QUOTE.search(before + chunk) is not None
            letters.read(chunk)
            end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
            line_length = line_length + len(chunk) if end < 0 else len(chunk) - end
            if line_length > MAX_LINE_BYTES:
                raise NotText(f"{letters.num_lines + 1}: expected lines of at most {MAX_LINE_BYTES >> 20} MiB")
            before = chunk[-2:]
    if encoding != "utf-16":
        encoding = letters.encoding(encoding, otherwise)
    return Content(encoding, quotes, escaped)


class _Letters:
    """Whether a file is UTF-8, chunk by chunk, and a sample of its letters beyond ASCII from where it is not."""

    def __init__(self) -> None:
        self.num_lines = 0  # that have ended
        self._begun = b""  # the start of a character that the next chunk ends
        self._last = b""
        self._fault: tuple[int, int] | None = None  # line and byte of the first place that is not UTF-8
        self._sample = b""

    def read(self, chunk: bytes) -> None:
        if self._fault is None:
            data = self._begun + chunk
            at, self._begun = _first_fault(data)
            if at is not None:
                self._fault = (self.num_lines + data.count(b"\n", 0, at) + 1, data[at])
        if self._fault is not None and len(self._sample) < MAX_SAMPLE_BYTES:
            self._sample += _lines_with_letters(chunk)
        self.num_lines += chunk.count(b"\n")
        self._last = chunk

    def encoding(self, utf8: str, otherwise: str | None) -> str:
        """`utf8` if the file is; else `otherwise`, or what its letters tell.  Raises NotText."""
        if self._fault is None and self._begun:  # the file ends within a character
            self._fault, self._sample = (self.num_lines + 1, self._begun[0]), _lines_with_letters(self._last)
        if self._fault is None:
            return utf8
        return otherwise or _recognised(self._sample[:MAX_SAMPLE_BYTES], *self._fault)


def _lines_with_letters(chunk: bytes) -> bytes:
    """The lines that are not ASCII."""
    return b"\n".join(re.findall(rb"[^\r\n]*[\x80-\xff][^\r\n]*", chunk)) + b"\n"


def _first_fault(data: bytes) -> tuple[int | None, bytes]:
    """(the place of what is not UTF-8 or None, the start of a character that goes on after the data)"""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return None, data[error.start :]
        return error.start, b""
    return None, b""


def _recognised(sample: bytes, line: int, byte: int) -> str:
    """The encoding of lines that are not all UTF-8.

    Where most of them are UTF-8, the file is UTF-8 with damaged bytes, and another encoding would garble every line.
    """
    lines = sample.splitlines()
    if sum(_first_fault(text) == (None, b"") for text in lines) < len(lines) / 2:
        matches = from_bytes(sample, cp_isolation=ENCODINGS)
        best = matches.best()
        if best is not None:  # few letters fit several encodings: the commonest of those that look as sane as the best
            sane = [name for m in matches if m.chaos <= best.chaos for name in m.could_be_from_charset]
            return ENCODINGS[0] if ENCODINGS[0] in sane else best.encoding
    raise NotText(f"{line}: expected text in UTF-8, got byte 0x{byte:02x}")


def _to_utf8(form: TextForm) -> Callable[[pa.Buffer], LentBytes]:
    decoder = codecs.getincrementaldecoder(form.encoding)()
    rest = ""

    def transform(chunk: pa.Buffer) -> LentBytes:
        nonlocal rest
        text = rest + decoder.decode(bytes(chunk), final=not len(chunk))
        rest = ""
        if form.separator == DOUBLE_COLON:
            if text.endswith(":") and len(chunk):
                text, rest = text[:-1], ":"
            text = text.replace(DOUBLE_COLON, UNIT_SEPARATOR)
        return LentBytes(text.encode())

    return transform
