"""Columns that stand in the names of folders, `year=2024/month=1/part.parquet`, as Hive, Spark and pyarrow write tables in parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

PART = re.compile(r"([\w .-]+)=(.*)", re.DOTALL)
NOTHING = "__HIVE_DEFAULT_PARTITION__"


def partitions(record: str, columns: Iterable[str]) -> dict[str, str | None]:
    """Return the columns that the folders of a file give it, and their one value; without those that the file has itself."""
    taken = {name.casefold() for name in columns}
    parts = [found for folder in record.split("/")[:-1] if (found := PART.fullmatch(folder))]
    named = {unquote(part[1]): None if part[2] == NOTHING else unquote(part[2]) for part in parts}
    return {name: value for name, value in named.items() if name.casefold() not in taken}
