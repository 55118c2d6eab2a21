"""Layout: lines before the header, units below it and times in two columns, as loggers write them, and what must not be taken for such."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tamis
from tamis.sources.layout import Layout, find_layout
from tamis.sources.listing import list_source
from tamis.sources.options import FormatOptions
from tamis.sources.staging import Staged, stage
from tamis.sources.tables import TableReader

TOA5 = (
    '"TOA5","CR1000","CR1000","1234","CR1000.Std.32","CPU:x.CR1","555","Table1"\n"TIMESTAMP","RECORD","BattV_Avg","AirTC"\n'
    '"TS","RN","Volts","Deg C"\n"","","Avg","Smp"\n"2014-05-30 14:30:00",0,12.5,"NAN"\n"2014-05-30 14:45:00",1,12.4,20.1\n'
)
HOBO = (
    '"Plot Title: 10340"\n"#","Date Time, GMT-06:00","Temp, °C (LGR S/N: 1)","Detached"\n'
    "1,05/30/14 02:30:00 PM,20.1,\n2,05/30/14 02:45:00 PM,20.2,\n3,05/30/14 03:00:00 PM,,Logged\n"
)
SOLINST = (
    "Serial_number:\n2023123\nProject ID:\nNorth, lower\nLEVEL\nUNIT: m\nTEMPERATURE\nUNIT: Deg C\nDate,Time,ms,LEVEL,TEMPERATURE\n"
    "2014/05/30,14:30:00,0,1.23,20.1\n2014/05/30,14:45:00,0,1.24,20.2\n2014/05/30,15:00:00,0,1.24,20.2\n"
)
RDB = (
    "# ---- WARNING ----\n# some, text; here\n#\nagency_cd\tsite_no\tdatetime\t1_00060\t1_00060_cd\n5s\t15s\t20d\t14n\t10s\n"
    "USGS\t01646500\t2014-05-30 14:30\t1200\tA\nUSGS\t01646500\t2014-05-30 14:45\t1210\tA\n"
)
ERDDAP = "time,latitude,temp,salinity\nUTC,degrees_north,degree_C,1\n2014-05-30T14:30:00Z,45.1,20.1,33.1\n"
AERONET = (
    "AERONET Version 3;\nAlder\nContact: PI=x; mail\nUNITS can be found at,,, a page\nSite,Date,Time,AOD_500nm\n"
    "Alder,30/05/2014,14:30:00,0.12\nAlder,30/05/2014,14:45:00,0.13\nAlder,30/05/2014,15:45:00,0.13\n"
)
GERMAN = "Station: Alder\nDatum;Uhrzeit;Temp\n[tt.mm.jjjj];[hh:mm];[°C]\n30.05.2014;14:30;1,5\n30.05.2014;14:45;1,6\n"


def read(folder: Path, content: str, name: str = "t.csv", options: FormatOptions | None = None) -> tuple[Staged, pl.DataFrame]:
    (folder / name).write_text(content, encoding="utf-8")
    file = list_source(folder / name).files[0]
    result = stage(file, folder / "staged.parquet", options)
    assert isinstance(result, Staged), result
    reader = TableReader(file, result.path)
    assert reader.bad_rows(0, reader.rows) == []
    return result, reader.read(0, reader.rows)


@pytest.mark.parametrize(
    ("content", "columns", "rows", "last"),
    [
        (TOA5, ["TIMESTAMP", "RECORD", "BattV_Avg", "AirTC"], 2, ("2014-05-30 14:45:00", "1", "12.4", "20.1")),
        (HOBO, ["#", "Date Time, GMT-06:00", "Temp, °C (LGR S/N: 1)", "Detached"], 3, ("3", "05/30/14 03:00:00 PM", "", "Logged")),
        (SOLINST, ["Date Time", "ms", "LEVEL", "TEMPERATURE"], 3, ("2014/05/30 15:00:00", "0", "1.24", "20.2")),
        (RDB, ["agency_cd", "site_no", "datetime", "1_00060", "1_00060_cd"], 2, ("USGS", "01646500", "2014-05-30 14:45", "1210", "A")),
        (ERDDAP, ["time", "latitude", "temp", "salinity"], 1, ("2014-05-30T14:30:00Z", "45.1", "20.1", "33.1")),
        (AERONET, ["Site", "Date Time", "AOD_500nm"], 3, ("Alder", "30/05/2014 15:45:00", "0.13")),
        (GERMAN, ["Datum Uhrzeit", "Temp"], 2, ("30.05.2014 14:45", "1,6")),
        ("sep=;\r\na;b\r\n1,5;2\r\n", ["a", "b"], 1, ("1,5", "2")),
        ("# time,temp\n2014-05-30 14:30,1\n", ["time", "temp"], 1, ("2014-05-30 14:30", "1")),
    ],
    ids=["toa5", "hobo", "solinst", "rdb", "erddap", "aeronet", "german", "excel", "comment"],
)  # fmt: skip
def test_files_of_loggers_are_read(tmp_path: Path, content: str, columns: list[str], rows: int, last: tuple[str, ...]) -> None:
    staged, frame = read(tmp_path, content)
    assert (frame.columns, len(frame), frame.row(-1)) == (columns, rows, last)
    lines_left_out = content.count("\n") - rows - 1
    assert any(note.startswith(f"{lines_left_out} of the first") for note in staged.notes) is (lines_left_out > 0 and "sep=" not in content)


@pytest.mark.parametrize(
    "content",
    [
        "id,unit,value\ns1,°C,\ns2,°C,12.3\ns3,°C,12.4\n",  # a unit that is a value
        "a,b\nx,y,z\nq,r,s\n",  # ragged texts
        "name,x,y\nfoo,NA,NA\nbar,1,2\n",  # values that miss
        "t,x,y\n2014-01-01,err,err\n2014-01-02,1,2\n2014-01-03,1,2\n",  # a row that is damaged
        "name,2014,2015\nfoo,1,2\n",  # figures for names
        "a,b\n1,2,3\n4,5,6\n7,8,9\n",  # a name too few
        "a,b\n",
        "",
        "only\none\ncolumn\n",
    ],
)  # fmt: skip
def test_what_is_no_layout_of_its_own_is_read_from_the_first_line(content: str) -> None:
    assert find_layout(content.encode(), final=True) == Layout(",")


def test_times_of_day_stay_apart_if_wanted(tmp_path: Path) -> None:
    _, frame = read(tmp_path, SOLINST, options=FormatOptions(join_times=False))
    assert frame.columns == ["Date", "Time", "ms", "LEVEL", "TEMPERATURE"]


def test_a_date_without_its_time_is_no_midnight(tmp_path: Path) -> None:
    rows = "".join(f"2014-05-{day:02},{hour}:00,{day}\n" for day in range(1, 31) for hour in (11, 12))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "t.csv").write_text(f"Date,Time,v\n{rows}2014-06-01,,31\n,12:00,32\n,,33\n")
    result = tamis.clean(tmp_path / "in", tmp_path / "out")
    clean = pl.read_parquet(tmp_path / "out" / "clean" / "tables" / "**" / "*.parquet")
    assert clean.columns == ["Date Time", "v"]
    assert clean["Date Time"].to_list() == [datetime(2014, 5, day, hour) for day in range(1, 31) for hour in (11, 12)] + [None] * 3
    notes = result.notes.filter(pl.col("reason") == "unparsed").collect()
    assert notes["value"].to_list() == ["2014-06-01 (no time)", "(no date) 12:00"]


def test_units_of_heads_bring_files_to_one_unit(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, unit, value in (("a", "Deg C", 20), ("b", "[°C]", 21), ("c", "degF", 68), ("d", "volts", 3)):
        rows = "".join(f"2014-05-30 14:{minute:02}:00,{value}\n" for minute in range(10))
        (tmp_path / "in" / f"{name}.csv").write_text(f"time,temp\nUTC,{unit}\n{rows}2014-05-30 15:00:00,-9999\n")
    result = tamis.clean(tmp_path / "in", tmp_path / "out", settings={"exact_duplicates.enabled": False})
    clean = pl.read_parquet(tmp_path / "out" / "clean" / "tables" / "**" / "*.parquet")
    assert clean["temp"].to_list() == [value for value in (20.0, 21.0, 20.0, 3.0) for _ in range(10)]
    (group,) = result.manifest["tables"].values()
    assert any("the units in the heads of 1 file do not measure what °C does" in note for note in group["decisions"])


def test_a_loggers_dat_file_is_a_table_and_another_is_not(tmp_path: Path) -> None:
    _, frame = read(tmp_path, TOA5, name="CR1000_Table1.dat")
    assert frame["AirTC"].to_list() == ["NAN", "20.1"]
    (tmp_path / "other.dat").write_bytes(bytes(100))
    assert list_source(tmp_path / "other.dat").files[0].kind == "media"


def test_the_times_of_a_logger_reach_the_clean_table(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "well.csv").write_text(SOLINST)
    tamis.clean(tmp_path / "in", tmp_path / "out")
    clean = pl.read_parquet(tmp_path / "out" / "clean" / "tables" / "**" / "*.parquet")
    assert clean.row(0) == (datetime(2014, 5, 30, 14, 30), 0, 1.23, 20.1)
    (tmp_path / "in" / "well.csv").unlink()
    (tmp_path / "in" / "sea.csv").write_text(ERDDAP)
    tamis.clean(tmp_path / "in", tmp_path / "out", overwrite=True)
    clean = pl.read_parquet(tmp_path / "out" / "clean" / "tables" / "**" / "*.parquet")
    assert clean.row(0) == (datetime(2014, 5, 30, 14, 30, tzinfo=UTC), 45.1, 20.1, 33.1)


@given(st.binary(max_size=200) | st.text(st.sampled_from('ab#,;\t"\n1.:-°C '), max_size=120).map(str.encode), st.booleans())
@settings(deadline=None, max_examples=300)
def test_any_bytes_have_a_layout(sample: bytes, final: bool) -> None:
    layout = find_layout(sample, final=final)
    assert layout.first >= (0 if layout.header is None else layout.header + 1)
    assert all(date != time for date, time in layout.stamps)
