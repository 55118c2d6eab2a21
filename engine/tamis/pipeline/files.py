"""JSON and Parquet, written whole or not at all; and digests of files."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from tamis.encodings import encoding
from tamis.files import whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ROW_GROUP_ROWS = 65_536
DISTINCT_BYTES = 1 << 16  # of distinct values in a column of a row group: beyond that they are written as they are


def write_json(path: Path, tree: Any) -> None:
    """Write JSON, sorted and indented."""
    with whole(path) as temporary:
        temporary.write_text(json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(
    path: Path,
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    *,
    compression: str = "zstd",
    metadata: Mapping[str, str] = {},
    room: Path | None = None,
    row_group_rows: int = ROW_GROUP_ROWS,
    rising: Sequence[str] = (),
) -> int:
    """Write tables of one schema to one Parquet file with row groups of a fixed size, so that how they were cut leaves no trace.

    Columns in `rising` are whole numbers or times that mostly rise by even steps: their differences are written, which is fast and small.
    Where there are any, columns of dictionaries are read back as what these hold, for the file does not keep Arrow's types.

    Returns
    -------
    int
        Rows written.
    """
    told = {key.encode(): value.encode() for key, value in (metadata or {}).items()}
    schema = schema.with_metadata({**(schema.metadata or {}), **told} or None)
    rows = 0
    with whole(path, room) as temporary:
        parts = _in_row_groups(tables, schema, row_group_rows)
        first = next(parts)
        options = encoding(first, compression, rising)
        if rising:
            options |= {
                "column_encoding": dict.fromkeys(rising, "DELTA_BINARY_PACKED"),
                "dictionary_pagesize_limit": DISTINCT_BYTES,
                "store_schema": False,
            }
        parts = chain([first], parts)
        del first  # a row group is not to be held while the others are written
        with pq.ParquetWriter(temporary, schema, **options) as writer:
            for part in parts:
                writer.write_table(part, row_group_size=row_group_rows)
                rows += len(part)
                del part  # before the next one is made
    return rows


def _in_row_groups(tables: Iterable[pa.Table], schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
    """Yield tables of whole row groups and one of what is left; of no rows an empty one."""
    pending: list[pa.Table] = []
    none = True
    for table in tables:
        pending.append(table if table.schema == schema else table.cast(schema))  # a cast loads pyarrow.compute
        if sum(map(len, pending)) >= rows:
            joined = _joined(pending)
            pending.clear()  # the row group is not to be held twice while it is written
            full = len(joined) - len(joined) % rows
            yield joined.slice(0, full)
            none = False
            if full < len(joined):  # an empty slice would hold all of it
                pending.append(joined.slice(full))
            del joined
    rest = _joined(pending) if pending else schema.empty_table()
    if len(rest) or none:
        yield rest


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def digest(path: str | Path) -> str:
    """Return the xxh3-128 hex digest of a file's bytes, read in blocks."""
    hasher = xxhash.xxh3_128()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
