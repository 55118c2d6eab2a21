"""`frame.tamis`: the same answers as the functions, lazily where the frame is lazy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tamis
import tamis.namespace

TEXTS = ["one two three four five six seven", None, "one two three four five six seven", "another text altogether, and a longer one"]
FRAME = pl.DataFrame({"id": range(4), "text": TEXTS})


def namespace(frame: Any) -> Any:
    return frame.tamis


@pytest.mark.parametrize("frame", [FRAME, FRAME.lazy()])
def test_near_duplicates_are_found_and_dropped(frame: pl.DataFrame | pl.LazyFrame) -> None:
    assert namespace(frame).near_duplicates().equals(tamis.near_duplicates(FRAME))
    kept = namespace(frame).drop_near_duplicates("text", threshold=0.9)
    assert type(kept) is type(frame)
    assert kept.lazy().collect().equals(FRAME.filter(pl.Series([True, True, False, True])))


@pytest.mark.parametrize("frame", [FRAME, FRAME.lazy()])
def test_signatures_are_a_column(frame: pl.DataFrame | pl.LazyFrame) -> None:
    made = namespace(frame).with_signatures("text", "s", num_perm=16).lazy().collect()
    assert made["s"].equals(tamis.signatures(FRAME["text"], num_perm=16).alias("s"))


def test_a_lazy_file_is_streamed(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "t.parquet")
    lazy = pl.scan_parquet(tmp_path / "t.parquet")
    assert namespace(lazy).drop_near_duplicates().collect()["id"].to_list() == [0, 1, 3]


def test_importing_tamis_alone_loads_no_polars() -> None:
    code = "import sys, tamis; assert 'polars' not in sys.modules; tamis.namespace; import polars; polars.DataFrame().tamis"
    subprocess.run([sys.executable, "-c", code], check=True)
