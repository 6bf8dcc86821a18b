"""Reads the used columns of one or several files with pyarrow, and finds the place of a row for messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from tqdm import tqdm

from trainer.data.data_file import DataFile
from trainer.data.order import narrow
from trainer.data.records import DataError, check_widths, records, records_at, shown
from trainer.data.text_files import TextForm, open_utf8
from trainer.stages import BAR

# pyarrow's own handler may lose a Ctrl-C that comes while it reads a file; Python's acts on it once the file is read.
pa.enable_signal_handlers(False)

BLOCK_BYTES = 8 << 20
MAX_EXACT = float(1 << 53)  # whole numbers below are exact in float64
TEXT, CODED = pa.string(), pa.dictionary(pa.int32(), pa.string())
NUMBER = "number"  # a column that no file has a role for
Holds = Callable[[pa.StringArray], np.ndarray]  # texts of ids → bool for each, whether this process holds its rows
FEW_TEXTS = {"user", "movie", "rating", "count", "genres", "year"}  # columns in which few texts stand many times


@dataclass(frozen=True)
class Table:
    """The used columns of files, one file after the other.

    columns: what it tells to its column: dictionary<int32, string> for `FEW_TEXTS`, else string; times as int64 if they
    are whole numbers in every row, and those of Parquet as stored.  num_rows: of each file, in order.
    kept: of each file, where only some of its rows are held, their numbers in the file, from 0, ascending; else None.
    The texts of a dictionary are those of all rows.
    """

    files: Sequence[DataFile]
    num_rows: Sequence[int]
    columns: dict[str, pa.ChunkedArray]
    kept: Sequence[np.ndarray] | None = None

    def __len__(self) -> int:
        return sum(self.num_rows)

    def coded(self, role: str) -> tuple[np.ndarray, pa.StringArray]:
        """(int32[n] positions, the column's unique texts without spaces around them), for `FEW_TEXTS`."""
        chunks = self.columns[role].chunks
        if not chunks:
            return np.empty(0, np.int32), pa.array([], TEXT)
        codes = np.concatenate([chunk.indices.to_numpy(zero_copy_only=False) for chunk in chunks])
        trimmed = pc.dictionary_encode(pc.utf8_trim_whitespace(chunks[0].dictionary))  # all chunks share it
        return trimmed.indices.to_numpy()[codes], trimmed.dictionary

    def places(self, rows: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Return ("ratings.csv:17", its text) of rows counted from 0 over all files, reading no file after the last."""
        found: dict[int, tuple[str, str]] = {}
        start = 0
        for at, (file, num_rows) in enumerate(zip(self.files, self.num_rows, strict=True)):
            wanted = [row - start for row in rows if start <= row < start + num_rows]
            if wanted:
                in_file = wanted if self.kept is None else self.kept[at][wanted].tolist()
                places = _places(file, set(in_file))
                found |= {start + row: places[there] for row, there in zip(wanted, in_file, strict=True)}
            start += num_rows
        return found

    def refuse(self, row: int, role: str, message: str) -> NoReturn:
        """Raises DataError with the row's place, the name of its column, and the message."""
        at = int(np.searchsorted(np.cumsum(self.num_rows), row, side="right"))
        raise DataError(f"{self.places([row])[row][0]}: {self.files[at].used[role]}: {message}")

    def refuse_texts(
        self, role: str, codes: np.ndarray, texts: pa.StringArray, bad: np.ndarray, expected: str, hint: str = ""
    ) -> None:
        """Raises DataError for the first row whose text is bad.  codes: int32[n].  texts: string[m].  bad: bool[m]."""
        if not bad.any():
            return
        refused = bad[codes]
        if refused.any():
            row = int(np.argmax(refused))
            self.refuse(row, role, f"{expected}, got {shown(texts[int(codes[row])].as_py())}{hint}")
        got = shown(texts[int(np.argmax(bad))].as_py())  # in a row that another worker holds
        raise DataError(f"{self.files[0].path.parent}: {self.files[0].used[role]}: {expected}, got {got}{hint}")


def read_table(files: Sequence[DataFile], roles: Sequence[str], holds: Holds | None = None) -> Table:
    """roles: what to read of each file's `used`; the files have the same.  Raises DataError for what is no table.

    holds: whose rows are held, by the texts of the users; None: all are.
    """
    read = [_read(file, [role for role in roles if role in file.used], holds) for file in files]
    kept = [narrow(table.column(NUMBER).to_numpy()) for table in read] if holds is not None else None
    columns = {}
    for role in (name for name in read[0].column_names if name != NUMBER):
        parts = [table.column(role) for table in read]
        if len({part.type for part in parts}) > 1:
            parts = [part.cast(TEXT) for part in parts]
        column = pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=parts[0].type)
        columns[role] = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column
    return Table(files, [table.num_rows for table in read], columns, kept)


def _read(file: DataFile, roles: Sequence[str], holds: Holds | None) -> pa.Table:
    try:
        if file.form is None:
            return _read_parquet(file, roles, holds)
        return _held(_read_text(file, file.form, roles), 0, holds)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DataError(f"{file.path}: expected text in {error.encoding}, got byte 0x{byte:02x}") from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if file.form is not None and not isinstance(error, OSError):
            check_widths(file.path, file.form)
        raise DataError(f"{file.path}: cannot be read: {' '.join(str(error).split())[:200]}") from error


def _read_text(file: DataFile, form: TextForm, roles: Sequence[str]) -> pa.Table:
    if form.quoted:  # pyarrow would take line after line into a field until another quote comes
        for _ in records(file.path, form, strict=True):
            pass
    try:
        return _parsed(file, form, roles, pa.int64())
    except pa.ArrowInvalid as error:
        if "conversion error to int64" not in str(error):
            raise
    return _parsed(file, form, roles, TEXT)  # the times are no whole numbers


def _parsed(file: DataFile, form: TextForm, roles: Sequence[str], times: pa.DataType) -> pa.Table:
    types = {role: times if role == "timestamp" else CODED if role in FEW_TEXTS else TEXT for role in roles}
    names = [str(at) for at in range(len(form.columns))]  # a header may name two columns alike that are not used
    at = {role: names[form.columns.index(file.used[role])] for role in roles}
    with open_utf8(file.path, form, f"reading {file.path.name}") as stream:
        table = pacsv.read_csv(
            stream,
            pacsv.ReadOptions(column_names=names, skip_rows_after_names=int(form.has_header), block_size=BLOCK_BYTES),
            pacsv.ParseOptions(
                delimiter=form.delimiter,
                quote_char='"' if form.quoted else False,
                escape_char="\\" if form.escaped else False,
                newlines_in_values=form.quoted,
            ),
            pacsv.ConvertOptions(
                include_columns=list(at.values()),
                column_types={name: types[role] for role, name in at.items()},
            ),
        )
    return table.rename_columns(list(at))


def _held(table: pa.Table, first_row: int, holds: Holds | None) -> pa.Table:
    """The rows that are held, and their numbers in the file as the column NUMBER.  first_row: the table's first one."""
    if holds is None:
        return table
    numbers = pa.array(np.arange(first_row, first_row + len(table)))
    users = table.column("user").combine_chunks()
    is_held = holds(users.dictionary)[users.indices.to_numpy()] if len(table) else np.empty(0, bool)
    return table.append_column(NUMBER, numbers).filter(pa.array(is_held))


def _read_parquet(file: DataFile, roles: Sequence[str], holds: Holds | None) -> pa.Table:
    """Read one group of rows after the other, so that only their held rows are in memory all at once, coded."""
    names = [file.used[role] for role in roles]
    parts: list[pa.Table] = []
    num_rows = 0
    with pq.ParquetFile(file.path) as parquet:
        groups = [[group] for group in range(parquet.num_row_groups)] or [[]]
        for group in tqdm(groups, f"reading {file.path.name}", unit="group", **BAR):
            table = parquet.read_row_groups(group, columns=names)
            columns = {role: _as_text(file, role, table.column(file.used[role]), num_rows) for role in roles}
            parts.append(_held(pa.table(columns), num_rows, holds))
            num_rows += len(table)
    return pa.concat_tables(parts)


def _as_text(file: DataFile, role: str, column: pa.ChunkedArray, first_row: int) -> pa.ChunkedArray:
    """A column of Parquet as `Table` has it, with "" for null.  first_row: its first row's number in the file."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if role == "timestamp" and not pa.types.is_string(kind):
        return column.cast(kind)
    if pa.types.is_nested(kind):
        if role != "genres":
            raise DataError(f"{file.path}: {file.used[role]}: expected text or numbers, got {kind}")
        texts = [json.dumps(value, default=str) if value is not None else "" for value in column.to_pylist()]
        column = pa.chunked_array([pa.array(texts, TEXT)])
    elif role in ("user", "movie") and pa.types.is_floating(kind):
        column = _whole(file, role, column, first_row)
    if role in FEW_TEXTS and pa.types.is_primitive(column.type) and not column.null_count:
        coded = column.combine_chunks().dictionary_encode()  # numbers first, because their texts are long to compare
        texts = coded.dictionary.cast(TEXT)
        return pa.chunked_array([pa.DictionaryArray.from_arrays(coded.indices, texts)], CODED)
    text = column.cast(TEXT).fill_null("")
    return text.dictionary_encode() if role in FEW_TEXTS else text


def _whole(file: DataFile, role: str, column: pa.ChunkedArray, first_row: int) -> pa.ChunkedArray:
    """Ids stored as floats, as integers.  Raises DataError for those that are not whole, or too large to be exact."""
    values = column.to_numpy()
    bad = ~((np.abs(values) < MAX_EXACT) & (values == np.floor(values)))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{file.path}: row {first_row + row + 1}: {file.used[role]}: expected a whole id, "
            f"got {float(values[row]):g}"
        )
    return pc.cast(column, pa.int64())


def _places(file: DataFile, wanted: set[int]) -> dict[int, tuple[str, str]]:
    found: dict[int, tuple[str, str]] = {}
    if file.form is None:
        for row in wanted:
            values = pq.read_table(file.path, columns=list(file.used.values())).slice(row, 1).to_pylist()[0]
            found[row] = (f"{file.path}: row {row + 1}", ", ".join(f"{name} {value}" for name, value in values.items()))
        return found
    return {
        row: (f"{file.path}:{line}", text) for row, (line, text) in records_at(file.path, file.form, wanted).items()
    }
