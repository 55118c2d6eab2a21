"""Whether a delimited file's first line names its columns: names are the rule, and a row that is taken for them is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from test_layout import read

import tamis
from tamis.sources.layout import find_layout
from tamis.sources.options import FormatOptions

if TYPE_CHECKING:
    from pathlib import Path

HEADLESS = {
    "figures": "1.5,2,3\n0.5,1,9\n",
    "figures of one column": "20.5\n21\n",
    "a date above dates": "2024-01-01,alder,7\n2024-01-02,birch,8\n",
    "a time above times and words": "alder,2024-01-01 00:00:00,\nbirch,2024-01-01 00:01:00,3\n",
    "a word that comes again": "alder,7\nbirch,8\nalder,9\n",
    "words that come again": "ham,Go there\nspam,Free entry\nham,U dun say\nham,Nah\n",
    "values among those below": "Ms A,1.5,-3\nMr B,0.5,-9\nMx C,7.5,4\n",
    "a value that is missing": "x1,1.5,NA,2.5\nx2,0.5,3,1\nx3,2.5,4,7\n",
    "values that do not rise": "Aberdeen,60.3,712,21\nAngus,52.3,643,26.5\n",
    "values there twice": "ant,1,1,2\nbee,2,1,1\n",
    "two whole numbers": "0,1\n5,7\n",
    "figures that rise as those below do": "1,2,3,4\n2,3,4,5\n",
}
NAMED = {
    "names": "time,sensor,value\n2024-01-01,alder,7\n",
    "names alone": "time,sensor,value\n",
    "words alone": "name,city\nann,bonn\nbob,cork\nann,cork\n",
    "years": "country,2010,2011,2012\nchad,1.5,2.5,3.5\nmali,4,5,6\n",
    "years alone": "2010,2011,2012,2013\n5,7,1,9\n",
    "dates of columns": "region,1/22/20,1/23/20\nhubei,1,2\n",
    "dates alone": "2020-01-22,2020-01-23\n1,2\n",
    "wavelengths": "sample,350.5,351,351.5\na,0.1,0.2,0.3\nb,900,900,900\nc,-1,-1,-1\n",
    "quantiles": "model,0.05,0.5,0.95\na,1,2,3\nb,0,0,0\n",
    "numbers of stations": "day,1023,882,5511\nmon,1,2,3\ntue,3,2,1\n",
    "counts of pandas": "0,1,2\n0.5,0.7,0.1\n3,4,5\n",
    "two counts of pandas": "0,1\n0.5,0.7\n3,4\n",
    "counts of pandas beside an index": ",0,1\n0,5,7\n1,3,4\n",
    "spans beside names of rows": '"","2-9","10-19","20+"\n"Regular",43,16,3\n"Less",6,11,10\n',
    "names that are repeated below": "kind,value\na,1\nkind,value\nb,2\n",
    "a name that comes once below": "text,label\ntext,a\nother,b\n",
}


@pytest.mark.parametrize("content", HEADLESS.values(), ids=HEADLESS)
def test_a_first_line_that_reads_like_the_others_is_a_row(tmp_path: Path, content: str) -> None:
    staged, frame = read(tmp_path, content)
    assert len(frame) == content.count("\n")
    assert ",".join(cell or "" for cell in frame.row(0)) == content.split("\n", maxsplit=1)[0]
    assert all(name.startswith("column_") for name in frame.columns)
    assert "the file has no header" in staged.notes[0]
    assert "set formats.header = true" in staged.notes[0]


@pytest.mark.parametrize("content", NAMED.values(), ids=NAMED)
def test_a_first_line_that_may_name_the_columns_does(content: str) -> None:
    layout = find_layout(content.encode(), final=True)
    assert (layout.header, layout.first, layout.notes) == (0, 1, ())


@pytest.mark.parametrize(("header", "rows"), [(True, 1), (False, 2)])
@pytest.mark.parametrize("content", ["1,2\n3,4\n", "a,b\n3,4\n", "2024-01-01,4\n2024-01-02,5\n", "sep=;\na;b\n3;4\n"])
def test_the_recipe_may_say_it(tmp_path: Path, header: Any, rows: int, content: str) -> None:
    staged, frame = read(tmp_path, content, options=FormatOptions(header=header))
    assert len(frame) == rows
    assert not any("header" in note for note in staged.notes)


def test_the_first_row_reaches_the_clean_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("2024-01-01,1.5\n2024-01-02,2.5\n")
    result = tamis.clean(tmp_path / "a.csv", tmp_path / "out", jobs=1)
    assert result.kept.collect()["column_2"].to_list() == [1.5, 2.5]
    (table,) = result.manifest["tables"].values()
    assert "has no header" in table["decisions"][0]
