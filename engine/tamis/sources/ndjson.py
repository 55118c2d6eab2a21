"""Read newline-delimited JSON as columns of text, numbers exactly as they are written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tamis.sources.rows import RAW_LIMIT, RESERVED_COLUMNS, BadRow, Chunk, broken_chunk, check_limits, unique_names
from tamis.sources.text import BrokenStream, decode, is_utf8

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _Number(str):
    """The text of a JSON number, told apart from a JSON string."""

    __slots__ = ()


def read_ndjson(blocks: Iterable[tuple[bytes, bool]], *, notes: list[str]) -> Iterator[Chunk]:
    """Yield chunks of rows; each has the columns seen so far, in the order in which they came up.

    A scalar becomes its text, `true` and `false` stay words, a list or an object becomes JSON text, and both `null` and
    an absent key become null.
    """
    columns: dict[str, str] = {}
    rest = b""
    recoded = 0
    try:
        for block, last in blocks:
            lines = (rest + block).split(b"\n")
            rest = b"" if last else lines.pop()
            lines = [line for line in lines if line.strip()]
            recoded += sum(not is_utf8(line) for line in lines)
            if lines:
                yield _chunk([decode(line) for line in lines], columns)
            check_limits(rest, len(columns))
    except BrokenStream as error:
        yield broken_chunk(str(error), rest)
    if recoded:
        notes.append(f"{recoded} records are not UTF-8 and were read as Windows-1252")
    if any(key != name for key, name in columns.items()):
        notes.append("some keys are empty or alike but for spaces and were made unique")


def _chunk(texts: list[str], columns: dict[str, str]) -> Chunk:
    rows: list[dict[str, Any]] = []
    bad: list[BadRow] = []
    for number, text in enumerate(texts):
        try:
            rows.append(_object(text))
        except (ValueError, RecursionError) as error:
            rows.append({})
            bad.append(BadRow(number, "bad_json", str(error), text[:RAW_LIMIT].strip()))
    new = dict.fromkeys(key for row in rows for key in row if key not in columns)
    columns.update(zip(new, unique_names(list(new), [*RESERVED_COLUMNS, *columns.values()]), strict=True))
    cells = {name: pa.array([_text(row.get(key)) for row in rows], pa.string()) for key, name in columns.items()}
    return Chunk(len(rows), cells, bad)


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
    if not isinstance(value, dict):
        msg = f"a line must hold an object, not {type(value).__name__}"
        raise ValueError(msg)  # noqa: TRY004 - every fault of the line is one kind of error
    if "\\u" in text:
        _json(value).encode()  # a lone surrogate cannot be written as UTF-8
    return value


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    """Write a value as compact JSON, with its numbers as they were."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_json(key)}:{_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
