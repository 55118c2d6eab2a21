"""What the functions for Python take as a table, a column or pictures, and what they say of anything else."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import tamis
from tamis import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME = pl.DataFrame({"text": ["a", "b"]})
READINGS = pl.DataFrame({"time": pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 1, 2), "1h", eager=True)}).with_columns(
    level=pl.int_range(25) * 0.5
)
TEXTS = ["a fine sieve", "", "keeps what is clean"]


@pytest.mark.parametrize("make", [list, tuple, np.array, pa.array, lambda texts: pa.chunked_array([texts[:1], texts[1:]])])
def test_a_column_of_any_library_has_the_signatures_of_polars_own(make: Callable[[list[str]], Any]) -> None:
    assert tamis.signatures(make(TEXTS)).to_list() == tamis.signatures(pl.Series(TEXTS)).to_list()


@pytest.mark.parametrize("make", [pl.LazyFrame, pa.table])
def test_statistics_take_a_table_of_any_library(make: Callable[[dict[str, list[float]]], Any]) -> None:
    rows = {"a": [1.0, 2.5, 7.0], "b": [3.0, 3.0, -1.0]}
    assert tamis.Statistics().add(make(rows)).frame().equals(tamis.Statistics().add(pl.DataFrame(rows)).frame())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tamis.signatures("a text"), "series is of type str; give a column"),
        (lambda: tamis.signatures(3), "series is of type int; give a column"),  # type: ignore[arg-type]
        (lambda: tamis.signatures(["a", 1]), "series is of type list, of which polars makes no column of one type: ."),
        (lambda: tamis.Statistics().add([1, 2]), "frame is of type list; give a polars, pandas or pyarrow table"),  # type: ignore[arg-type]
        (lambda: tamis.image_hashes(3), "pictures is of type int; give a path, bytes or a list of such, not 3"),  # type: ignore[arg-type]
        (lambda: tamis.image_hashes(["a.jpg", None]), r"pictures is of type list; give .*, not \['a.jpg', None\]"),  # type: ignore[list-item]
        (lambda: tamis.image_hashes("a.jpg", ["pdq"]), "hash is of type list; give one of pdq, phash64"),  # type: ignore[arg-type]
        (lambda: tamis.near_duplicates(FRAME, threshold="0.8"), "threshold is of type str; give a number, not '0.8'"),  # type: ignore[arg-type]
        (lambda: tamis.near_duplicates(FRAME, recall="0.8"), "recall is of type str; give a number or None"),  # type: ignore[arg-type]
        (lambda: tamis.near_duplicates(FRAME, bands=5), r"bands is of type int; give \(a whole number, a whole number\) or None"),  # type: ignore[arg-type]
        (lambda: tamis.quality_control(READINGS, sigmas=0), "sigmas must be above 0"),
        (lambda: tamis.quality_control(READINGS, sentinels="x"), "sentinels is of type str; give a number or a list of such"),  # type: ignore[arg-type]
        (
            lambda: tamis.quality_control(READINGS, limits=["x"]),  # type: ignore[list-item]
            r"limits is of type list; give a dictionary or a list of such, not \['x'\]",
        ),
        (lambda: tamis.quality_control(READINGS, settings={"formats.decimal": ","}), "settings say how files are read"),
        (
            lambda: tamis.discover([3]),  # type: ignore[list-item]
            r"data is of type list; give a polars, pandas or pyarrow table, a path or a list, each a path, not \[3\]",
        ),
        (lambda: tamis.discover(READINGS, zone=3), "zone is of type int; give a text"),  # type: ignore[arg-type]
        (lambda: tamis.Normalizer().fit(FRAME.lazy()), "X is a lazy frame"),
        (lambda: tamis.clean("here", "there", against=3), "against is of type int"),  # type: ignore[arg-type]
    ],
)
def test_anything_else_is_told_in_one_line(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ArgumentError, match=said) as error:
        call()
    assert "\n" not in str(error.value)


def test_a_list_of_numbers_is_told_as_a_column_that_holds_no_texts() -> None:
    with pytest.raises(tamis.ColumnError, match="it is Int64"):
        tamis.signatures([1, 2])


@pytest.mark.parametrize("nothing", [[], [None, None]])
def test_a_column_of_nothing_is_one_of_texts(nothing: list[None]) -> None:
    assert tamis.signatures(nothing).to_list() == nothing
    assert len(tamis.Signatures.of(nothing).values) == len(nothing)


def test_signatures_that_know_themselves_take_a_list_too() -> None:
    assert tamis.Signatures.of(TEXTS).values.tolist() == tamis.signatures(pl.Series(TEXTS)).to_list()


def test_paths_may_come_from_a_generator(tmp_path: Path) -> None:
    READINGS.write_csv(tmp_path / "a.csv")
    result = tamis.clean(tmp_path.glob("*.csv"), tmp_path / "out", jobs=1)
    assert result.manifest["counts"]["kept"] == len(READINGS)
    assert tamis.quality_control(tmp_path.glob("*.csv"), learn=False).summary["readings"].to_list() == [len(READINGS)]


def test_one_word_is_as_good_as_a_list_of_one() -> None:
    alone = tamis.quality_control(READINGS, values="level", learn="spike", sentinels=3, thresholds=pa.table({"fail_high": [5.0]}))
    listed = tamis.quality_control(READINGS, values=["level"], learn=["spike"], sentinels=[3], limits={"fail_high": 5.0})
    assert alone.flags.collect().equals(listed.flags.collect())
    assert alone.limits.equals(listed.limits)
    with pytest.raises(tamis.ColumnError, match=r"there is no column 'levle'\. Did you mean 'level'\?"):
        tamis.discover(READINGS, values="levle")


def test_flags_and_the_confirm_list_go_to_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tamis.quality_control(READINGS, out="~/flags.parquet")
    found = tamis.discover(READINGS)
    found.write_confirm("~/confirm.toml")
    assert tamis.correct(READINGS.lazy(), "~/confirm.toml").equals(READINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confirm.toml", "flags.parquet"]
    with pytest.raises(tamis.OutputError, match=r"the confirm list cannot be written to .*: Is a directory; name another file"):
        found.write_confirm(tmp_path)


def test_a_run_that_is_not_there_is_told_by_each_table_of_it(tmp_path: Path) -> None:
    result = tamis.Result(tmp_path)
    for name in ("manifest", "kept", "files", "tables", "rejected", "notes", "clusters"):
        with pytest.raises(tamis.SourceError, match="holds no finished run"):
            getattr(result, name)


def test_a_sample_goes_to_a_folder_named_by_text(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(tamis.OutputError, match=r"cannot write a sample to .*file/new: Not a directory\. Name another folder\."):
        tamis.write_sample(f"{tmp_path}/file/new")


@pytest.mark.parametrize(
    "make",
    [
        lambda texts: pl.DataFrame({"text": pl.Series(texts, dtype=pl.Categorical)}),
        lambda texts: pl.LazyFrame({"text": pl.Series(texts, dtype=pl.Enum(["a fine sieve", "another"]))}),
        lambda texts: pa.table({"text": pa.array(texts).dictionary_encode()}),
        lambda texts: pa.table({"text": pa.array(texts, pa.string_view())}),
    ],
)
def test_texts_of_any_type_are_texts(make: Callable[[list[str | None]], Any]) -> None:
    texts = ["a fine sieve", None, "another", "a fine sieve"]
    plain = pl.DataFrame({"text": texts})
    assert tamis.near_duplicates(make(texts)).equals(tamis.near_duplicates(plain))
    series = make(texts)
    series = series.collect()["text"] if isinstance(series, pl.LazyFrame) else series["text"]
    assert tamis.signatures(series).to_list() == tamis.signatures(plain["text"]).to_list()


@pytest.mark.parametrize("nothing", [[None, None], [[], []], [[None], []], []])
def test_rows_of_nothing_are_each_alone(nothing: list[Any]) -> None:
    found = tamis.near_duplicates(pl.DataFrame({"text": nothing}))
    assert found["keeper"].to_list() == [True] * len(nothing)
    assert found["cluster"].null_count() == len(nothing)


class Pandas:
    """What of pandas is asked for where times are an index."""

    def __init__(self, table: pl.DataFrame) -> None:
        self._table = table
        self.index = table["time"].to_numpy()

    def reset_index(self) -> pl.DataFrame:
        return self._table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.drop("time").__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("call", [tamis.quality_control, tamis.discover])
def test_times_may_be_an_index_of_pandas(call: Callable[[Any], Any]) -> None:
    assert {role.time for role in call(Pandas(READINGS)).roles.values()} == {"time"}


def test_readings_may_be_decimals_and_limits_numbers_of_numpy() -> None:
    exact = tamis.quality_control(READINGS.cast({"level": pl.Decimal(10, 2)}), limits={"fail_high": np.float32(6.5)})
    assert exact.flags.collect().equals(tamis.quality_control(READINGS, limits={"fail_high": 6.5}).flags.collect())
    assert not tamis.discover(READINGS.cast({"level": pl.Decimal(10, 2)})).told


def test_columns_named_twice_are_looked_at_once_and_an_empty_sensor_is_none() -> None:
    frame = READINGS.with_columns(sensor=pl.Series(["a"] * 25))
    assert tamis.quality_control(frame, values=["level", "level"], sensor="").summary["readings"].to_list() == [25]
    assert tamis.discover(frame, values=["level", "level"], sensor=["sensor", "sensor"]).roles["table"].sensor == ("sensor",)


def test_rows_without_a_time_are_told_by_discovery_too() -> None:
    timeless = READINGS.with_columns(time=pl.when(pl.int_range(25) > 2).then("time"))
    assert tamis.discover(timeless).notes == ("3 rows have no time: the readings there were not looked at",)


def test_what_is_made_is_told_in_one_short_line(tmp_path: Path) -> None:
    grouped = pl.DataFrame({"sensor": ["a", "b"], "value": [1.0, 2.0]})
    found = tamis.discover(pl.concat([READINGS, READINGS[:5]]))
    shown = [
        tamis.Normalizer("robust", quantile_range=(10, 90)),
        tamis.GroupNormalizer("sensor"),
        tamis.GroupNormalizer("sensor").fit(grouped),
        tamis.PictureNormalizer(),
        tamis.PictureNormalizer().fit(np.full((1, 2, 2, 1), 3, np.uint8)),
        tamis.Statistics(),
        tamis.Statistics(by="sensor").add(grouped),
        tamis.Signatures.of(TEXTS, num_perm=8),
        tamis.Recipe.load(),
        tamis.Recipe.load(settings={"seed": 3, "near_duplicates.threshold": 0.9}),
        found,
        tamis.Result(tmp_path),
    ]
    assert [repr(one) for one in shown] == [
        "Normalizer('robust', quantile_range=(10, 90))",
        "GroupNormalizer('sensor', 'zscore')",
        "GroupNormalizer('sensor', 'zscore', 2 groups)",
        "PictureNormalizer()",
        "PictureNormalizer(mean=[3.0], std=[0.0])",
        "Statistics(0 columns)",
        "Statistics(1 column by 'sensor', 2 groups)",
        "Signatures(3 of 8 slots, scheme='fss', seed=1, shingle='byte-5')",
        "Recipe()",
        "Recipe(seed=3, near_duplicates.threshold=0.9)",
        "Discovery(1 suspicion, 1 duplicate_time)",
        f"Result({str(tmp_path)!r}: no finished run)",
    ]
    assert found != tamis.discover(READINGS)
