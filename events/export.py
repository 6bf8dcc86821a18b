"""Writes the events to a Parquet file, a part at a time."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from events.event import Event, Kind
from events.snapshot import number_ranges
from events.store import EventStore

ROWS_AT_ONCE = 50_000  # some tens of megabytes

SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("event_id", pa.string()),
        ("user_id", pa.int64()),
        ("user_key", pa.string()),
        ("movie_id", pa.int64()),
        ("movie_key", pa.string()),
        ("kind", pa.string()),
        ("rating", pa.float64()),
        ("event_time", pa.timestamp("us", "UTC")),
    ]
)
"""user_id is null where there is a key, and so is movie_id; rating is null unless the kind is "rated"."""


def export(store: EventStore, path: Path) -> int:
    """Write all events in the order of their numbers, and return how many. The file appears whole, by a rename.

    Raises EventStoreError, and OSError if the file cannot be written.
    """
    store.prepare()
    unfinished = path.with_name(f".{path.name}.unfinished")
    num_events = 0
    try:
        with pq.ParquetWriter(unfinished, SCHEMA, compression="zstd") as writer:
            for after, until in number_ranges(store.last_number(), ROWS_AT_ONCE):
                rows = store.rows(after, until)
                writer.write_table(_table(rows))
                num_events += len(rows)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return num_events


def _table(rows: list[tuple[int, Event]]) -> pa.Table:
    events = [event for _, event in rows]
    columns = [
        [number for number, _ in rows],
        [event.event_id for event in events],
        [None if event.user_key else event.user for event in events],
        [event.user_key or None for event in events],
        [None if event.movie_key else event.movie for event in events],
        [event.movie_key or None for event in events],
        [event.kind.name.lower() for event in events],
        [event.rating if event.kind == Kind.RATED else None for event in events],
        [event.time_us for event in events],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
