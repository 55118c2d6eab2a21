"""The compiled reader of times: it reads what polars reads, and leaves the rest to it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamis.sources import parsing, stamps
from tamis.sources.profile import profile_column

EDGES = [
    "0001-01-01 00:00:00",
    "9999-12-31T23:59:59.999999",
    "0000-12-31 23:59:59",
    "1969-12-31 23:59:59.9999999",
    "2024-02-29 12:00:00.5",
    "2023-02-29 12:00:00",
    "1900-02-29 00:00:00",
    "2000-02-29T00:00:00Z",
    "2000-04-31 00:00:00",
    "2000-04-30 00:00:00+05:45",
    "2000-04-30T00:00:00.25-23:59",
    "2000-04-30T00:00:00+24:00",
    "2000-04-30T00:00:00+0100",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "2000-01-01 24:00:00",
    "2000-01-01 00:00:60",
    "2000-01-01 00:00:00.",
    "2000-01-01 00:00:00.1x",
    "2000-01-01 00:00:00z",
    "2000-01-01t00:00:00",
    "2000-01-01 0:00:00.00",
    "2000-1-01 00:00:000",
    "200\u0661-01-01 00:00:00",
    "2000-13-01 00:00:00",
    "2000-00-01 00:00:00",
    "2000-01-00 00:00:00",
    "1/2/2000 10:00",
    "2000-01-01",
    "",
]
PARTS = st.tuples(
    st.integers(0, 9999),
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from([" ", "T", "t", "-"]),
    st.integers(0, 25),
    st.integers(0, 61),
    st.integers(0, 61),
    st.sampled_from(["", ".", ".5", ".123456", ".9999999999", ",5"]),
    st.sampled_from(["", "Z", "+00:00", "-11:30", "+0100", "+2", " UTC", "+00:60", " "]),
)


def written(parts: tuple[int, int, int, str, int, int, int, str, str]) -> str:
    year, month, day, mark, hour, minute, second, fraction, zone = parts
    return f"{year:04d}-{month:02d}-{day:02d}{mark}{hour:02d}:{minute:02d}:{second:02d}{fraction}{zone}"


def both(text: pl.Series, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold each reader of times, and the profile, to what it says where the compiled one is not asked."""
    answers = []
    for least in (len(text) + 1, 0):
        monkeypatch.setattr(parsing, "SOON_READ", least)
        read = [parsing.iso_datetimes(text), parsing.naive_datetimes(text, day_first=True), parsing.zoned_datetimes(text, day_first=False)]
        answers.append(([one.to_list() for one in read], [one.dtype for one in read], +profile_column("time", text).counts))
    assert answers[0] == answers[1]


def test_what_it_reads_is_what_polars_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    for edge in EDGES:
        both(pl.Series("time", [edge]), monkeypatch)
    both(pl.Series("time", EDGES), monkeypatch)
    both(pl.Series("time", EDGES[:5] * 3)[4:12], monkeypatch)
    both(pl.Series("time", [], dtype=pl.String), monkeypatch)


@given(st.lists(PARTS.map(written), min_size=1, max_size=20))
@settings(deadline=None, max_examples=60)
def test_whatever_is_like_a_time_is_read_as_polars_reads_it(text: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        both(pl.Series("time", text), patch)


def test_days_of_four_hundred_years_are_numbered_as_they_are_in_the_calendar() -> None:
    days = [datetime(1850, 1, 1) + timedelta(days=day) for day in range(0, 146_097, 11)]
    text = pl.Series(days).dt.strftime("%Y-%m-%dT%H:%M:%S")
    times, kinds = stamps.read_stamps(text)
    assert (kinds == stamps.NAIVE).all()
    assert np.array_equal(times, np.arange(len(days)) * 11 * stamps.DAY + int(days[0].replace(tzinfo=UTC).timestamp()) * stamps.SECOND)


def test_a_word_for_no_value_that_is_a_time_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "SOON_READ", 0)
    cells = pl.Series(["1970-01-01T00:00:00", "2024-01-01T00:00:00", None])
    counts = profile_column("time", cells, frozenset({"1970-01-01t00:00:00"})).counts
    assert (counts["missing"], counts["datetime"]) == (1, 1)
