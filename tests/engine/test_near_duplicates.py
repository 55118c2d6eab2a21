"""Signatures that datasketch takes and gives, and clusters of near-duplicate texts."""

from __future__ import annotations

import random
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
import pytest
import xxhash
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

import tamis
import tamis.near.deduplicate as module
import tamis.near.shingles
from tamis.errors import ColumnError
from tamis.near.deduplicate import near_duplicates
from tamis.near.signatures import signatures
from tamis.near.texts import normalised, text_buffers
from tamis.sizes import byte_count
from tamis_kernels import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

Verification = Literal["exact", "signature"]

TEXTS = ["The quick brown fox jumps over the lazy dog.", "", None, "Zwölf Boxkämpfer 🥊 jagen Viktor", "abc", "日本語のテキスト"]


def sketch(elements: Iterable[bytes], **arguments: Any) -> MinHash:
    made = MinHash(hashfunc=xxhash.xxh32_intdigest, **arguments)
    made.update_batch(list(elements))
    return made


def windows(text: bytes, width: int) -> list[bytes]:
    return [text[i : i + width] for i in range(max(1, len(text) - width + 1))] if text else []


def words(seed: int, count: int) -> list[str]:
    generator = random.Random(seed)
    return [f"{generator.choice('bdfgklmnprst')}{generator.choice('aeiouäé')}{generator.randrange(500)}" for _ in range(count)]


def jaccard(left: str, right: str, ngram: int = 5) -> float:
    one, other = ({tuple(split[i : i + ngram]) for i in range(max(1, len(split) - ngram + 1))} for split in (left.split(), right.split()))
    return len(one & other) / len(one | other)


def planted(seed: int, originals: int) -> list[str]:
    """Return texts of 30 to 120 words, followed by an edited copy of every second one."""
    generator = random.Random(seed)
    texts = [words(1000 * seed + i, generator.randrange(30, 120)) for i in range(originals)]
    for original in texts[::2]:
        copy = list(original)
        for _ in range(generator.randrange(3)):
            copy[generator.randrange(len(copy))] = "changed"
        texts.append(copy)
    return [" ".join(text) for text in texts]


@pytest.mark.parametrize("dtype", [pl.String, pl.Binary])
def test_signatures_are_those_datasketch_makes(dtype: type[pl.DataType]) -> None:
    series = pl.Series("text", TEXTS, dtype=pl.String).cast(dtype)
    found = signatures(series, "affine32", num_perm=64, seed=7)
    assert (found.name, found.dtype) == ("text", pl.Array(pl.UInt32, 64))
    for text, row in zip(TEXTS, found.to_list(), strict=True):
        if text is None:
            assert row is None
        else:
            assert row == sketch(windows(text.encode(), 5), num_perm=64, seed=7).hashvalues.tolist()


def test_datasketch_takes_our_signatures_and_compares_them_with_its_own() -> None:
    left, right = "one two three four five six seven eight", "one two three four five six seven nine"
    ours = signatures(pl.Series([left, right]), "affine32", unit="word", ngram=3).to_numpy()
    taken = [MinHash(seed=1, scheme="affine32", hashvalues=row) for row in ours]
    own = sketch((" ".join(right.split()[i : i + 3]).encode() for i in range(6)), num_perm=128, seed=1)
    assert taken[1].jaccard(own) == 1.0
    assert taken[0].jaccard(own) == taken[0].jaccard(taken[1]) == np.mean(ours[0] == ours[1])


def test_public_functions_stay_functions_once_their_modules_are_loaded() -> None:
    assert len(tamis.near_duplicates(pl.DataFrame({"text": ["a", "b"]}))) == 2
    for name in tamis.__all__:
        assert not isinstance(getattr(tamis, name), ModuleType), name


def test_chunks_and_slices_change_no_signature() -> None:
    whole = pl.Series("text", TEXTS)
    chunked = pl.concat([whole[:2], whole[2:3], whole[3:]], rechunk=False)
    assert chunked.n_chunks() == 3
    assert signatures(chunked).to_list() == signatures(whole).to_list()
    assert signatures(whole[3:5]).to_list() == signatures(whole).to_list()[3:5]
    assert signatures(whole[:0]).to_list() == []


def test_the_schemes_differ_in_their_signatures_and_agree_on_the_clusters() -> None:
    frame = pl.DataFrame({"text": [" ".join(f"w{i * 7 % 61}" for i in range(start, start + 50)) for start in (0, 1, 200, 201, 400)]})
    both = [near_duplicates(frame, scheme=scheme, ngram=3) for scheme in ("affine32", "fss")]
    assert both[0].equals(both[1])
    assert both[0]["keeper"].to_list() == [True, False, True, False, True]
    left, right = (signatures(frame["text"], scheme=scheme, unit="word", ngram=3).to_numpy() for scheme in ("affine32", "fss"))
    assert not np.any(left == right)
    assert abs(np.mean(right[0] == right[1]) - both[0]["similarity"][1]) < 0.1


def test_text_buffers_cover_the_texts() -> None:
    data, offsets, validity = text_buffers(pl.Series(["ab", None, "é"]))
    assert validity is not None
    assert validity.tolist() == [True, False, True]
    assert [data[offsets[i] : offsets[i + 1]].tobytes() for i in (0, 2)] == [b"ab", "é".encode()]
    assert text_buffers(pl.Series(["ab"]))[2] is None


def test_normalised_text_has_one_form_and_case_and_single_spaces() -> None:
    text = pl.DataFrame({"text": ["\u3000 \uff28ello \t\n WORLD\u2003 ﬁne", None, " "]})
    assert text.select(normalised(pl.col("text"))).to_series().to_list() == ["hello world fine", None, ""]


@settings(deadline=None, max_examples=50)
@given(
    texts=st.lists(
        st.one_of(st.text(alphabet=" \t\n\x0b\x1c\u0085\u00a0\u1680\u2028\u3000aAÉ\ufb01", max_size=12), st.text(max_size=20)), min_size=1
    )
)
def test_normalising_equals_the_plain_steps(texts: list[str]) -> None:
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    plain = pl.col("text").str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars(" ")
    assert frame.select(normalised(pl.col("text"))).equals(frame.select(plain))


@pytest.mark.parametrize("verify", ["exact", "signature"])
def test_planted_copies_are_found_and_named_with_their_keeper(verify: Verification) -> None:
    texts = planted(seed=1, originals=60)
    result = near_duplicates(pl.DataFrame({"text": texts}), threshold=0.7, verify=verify)
    assert result.schema == {"row": pl.Int64, "cluster": pl.Int64, "keeper": pl.Boolean, "similarity": pl.Float64}
    assert result["row"].to_list() == list(range(90))
    for copy, original in enumerate(range(0, 60, 2), start=60):
        row = result.row(copy, named=True)
        similarity = jaccard(texts[copy], texts[original])
        if similarity > 0.85:
            assert (row["cluster"], row["keeper"]) == (original, False)
            assert row["similarity"] == pytest.approx(similarity, abs=1e-12 if verify == "exact" else 0.2)
            assert result.row(original, named=True) == {"row": original, "cluster": original, "keeper": True, "similarity": 1.0}
    assert result[1:60:2]["cluster"].null_count() == 30


def test_every_dropped_row_is_similar_enough_to_a_kept_one() -> None:
    texts = planted(seed=2, originals=80)
    result = near_duplicates(pl.DataFrame({"text": texts}), threshold=0.75)
    dropped = result.filter(~pl.col("keeper"))
    assert dropped.height > 20
    for row, cluster, _, similarity in dropped.iter_rows():
        assert result["keeper"][cluster]
        assert similarity == jaccard(texts[row], texts[cluster])
        assert similarity >= 0.75


def test_equal_texts_are_one_cluster_however_many() -> None:
    texts = ["the same old story"] * 500 + ["another one"] + ["The  SAME old\nstory"] * 2
    result = near_duplicates(pl.DataFrame({"text": texts}))
    assert result["cluster"].to_list() == [0] * 500 + [None] + [0, 0]
    assert result["keeper"].sum() == 2
    assert result["similarity"].to_list() == [1.0] * 500 + [None] + [1.0, 1.0]


def test_copies_of_a_near_duplicate_share_its_keeper_and_similarity() -> None:
    original = words(5, 60)
    edited = " ".join([*original[:-1], "other"])
    result = near_duplicates(pl.DataFrame({"text": [" ".join(original), edited, edited.upper()]}))
    assert result["cluster"].to_list() == [0, 0, 0]
    assert result["keeper"].to_list() == [True, False, False]
    assert result["similarity"].to_list() == [1.0, 55 / 57, 55 / 57]


def test_null_and_blank_texts_are_alone() -> None:
    result = near_duplicates(pl.DataFrame({"text": [None, "", None, "", " \t", "\u3000"]}))
    assert result["cluster"].null_count() == 6
    assert result["keeper"].all()
    assert result["similarity"].null_count() == 6


def test_without_normalisation_case_and_spacing_differ() -> None:
    frame = pl.DataFrame({"text": ["One two", "one  two", "one two", "one two", " ", " "]})
    result = near_duplicates(frame, unit="byte", threshold=1.0, normalise=False)
    assert result["cluster"].to_list() == [None, None, 2, 2, None, None]


def test_characters_outside_ascii_are_units_of_their_own() -> None:
    text = "".join(chr(0x4E00 + 7 * i) for i in range(100))
    result = near_duplicates(pl.DataFrame({"text": [text, text[:-1] + "中"]}), unit="char", ngram=3)
    assert result["similarity"].to_list() == [1.0, 97 / 99]


def test_a_lazy_frame_and_another_column_and_bytes_give_the_same_answer() -> None:
    texts = planted(seed=3, originals=20)
    frame = pl.DataFrame({"id": range(len(texts)), "body": texts})
    expected = near_duplicates(frame, "body")
    assert near_duplicates(frame.lazy(), "body").equals(expected)
    assert near_duplicates(frame.with_columns(pl.col("body").cast(pl.Binary)), "body").equals(expected)


def test_believing_every_candidate_reports_no_similarity() -> None:
    original = words(6, 80)
    texts = [" ".join(original), " ".join([*original, "more"]), " ".join(original)]
    result = near_duplicates(pl.DataFrame({"text": texts}), verify="none")
    assert result["cluster"].to_list() == [0, 0, 0]
    assert result["similarity"].to_list() == [1.0, None, None]


def test_empty_frames_give_empty_answers() -> None:
    assert near_duplicates(pl.DataFrame({"text": []}, schema={"text": pl.String})).shape == (0, 4)


def test_the_reference_backend_gives_the_same_answer() -> None:
    frame = pl.DataFrame({"text": planted(seed=4, originals=8)})
    assert near_duplicates(frame, backend="reference").equals(near_duplicates(frame, backend="cpu"))


@settings(deadline=None, max_examples=30)
@given(texts=st.lists(st.one_of(st.none(), st.text(alphabet="ab ", max_size=12), st.just("a b a b a b")), max_size=12))
def test_any_texts_get_sound_answers(texts: list[str | None]) -> None:
    result = near_duplicates(pl.DataFrame({"text": texts}, schema={"text": pl.String}), threshold=0.5, ngram=2)
    tidy = [" ".join((text or "").split()) for text in texts]
    for row, cluster, keeper, similarity in result.iter_rows():
        if cluster is None:
            assert keeper
            assert similarity is None
            assert not tidy[row] or tidy.count(tidy[row]) == 1
        else:
            assert keeper == (row == cluster)
            assert result["cluster"][cluster] == cluster
            assert similarity == jaccard(tidy[row], tidy[cluster], ngram=2)


@pytest.mark.parametrize(("rows", "hashes", "memory"), [(1, 1, 1), (7, 50, "2KB"), (1 << 16, 1 << 20, "1GB")])
@pytest.mark.parametrize("verify", ["exact", "signature", "none"])
def test_how_much_is_held_at_once_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, verify: Verification, rows: int, hashes: int, memory: int | str
) -> None:
    frame = pl.DataFrame({"text": [*planted(seed=9, originals=30), None, ""]})
    expected = near_duplicates(frame, verify=verify)
    monkeypatch.setattr(module, "ROWS_AT_A_TIME", rows)
    monkeypatch.setattr(tamis.near.shingles, "BYTES_AT_A_TIME", 4 * hashes)
    assert near_duplicates(frame.lazy(), verify=verify, memory=memory).equals(expected)


@pytest.mark.parametrize("scheme", ["fss", "affine32"])
@pytest.mark.parametrize("dtype", [pl.List(pl.Int64), pl.List(pl.UInt32), pl.Array(pl.UInt64, 40)])
def test_lists_of_integers_are_compared_as_sets(dtype: pl.DataType, scheme: Any) -> None:
    one, other = list(range(40)), list(range(1000, 1040))
    rows: list[list[int] | None] = [one, one[::-1], [*one[:-1], 77], other, [*other[:38], 5, 5], None]
    frame = pl.DataFrame({"ids": rows}, schema={"ids": pl.List(pl.Int64)}).select(pl.col("ids").cast(dtype))
    result = near_duplicates(frame, "ids", scheme=scheme)
    assert result["cluster"].to_list() == [0, 0, 0, 3, 3, None]
    assert result["similarity"].to_list() == [1.0, 1.0, 39 / 41, 1.0, 38 / 41, None]


def test_negative_and_missing_members_of_lists_and_empty_lists() -> None:
    frame = pl.DataFrame({"ids": [[-1, -2, None, 3], [3, -2, -1], [], [], [None]]}, schema={"ids": pl.List(pl.Int32)})
    assert near_duplicates(frame, "ids")["cluster"].to_list() == [0, 0, None, None, None]


def test_lists_of_strings_are_ready_tokens() -> None:
    tokens = [[f"t{number}" for number in range(30)], [f"t{number}" for number in range(30, 0, -1)], ["x"], None, [], ["x", None, "x"]]
    result = near_duplicates(pl.DataFrame({"tokens": tokens}), "tokens")
    assert result["cluster"].to_list() == [0, 0, 2, None, None, 2]
    assert result["similarity"].to_list() == [1.0, 29 / 31, 1.0, None, None, 1.0]


def test_containment_finds_what_lies_within_another() -> None:
    whole = words(11, 100)
    frame = pl.DataFrame({"text": [" ".join(whole), " ".join(whole[:70]), " ".join(words(12, 70))]})
    assert near_duplicates(frame)["cluster"].null_count() == 3
    result = near_duplicates(frame, measure="containment", bands=(64, 2))
    assert result["cluster"].to_list() == [0, 0, None]
    assert result["similarity"].to_list() == [1.0, 1.0, None]


def test_containment_in_the_recipe(tmp_path: Path) -> None:
    whole = words(11, 100)
    (tmp_path / "in").mkdir()
    pl.DataFrame({"text": [" ".join(whole), " ".join(whole[:70]), " ".join(words(12, 70))]}).write_parquet(tmp_path / "in" / "t.parquet")
    settings_ = {"near_duplicates.measure": "containment", "near_duplicates.bands": 64, "near_duplicates.rows": 2}
    result = tamis.clean(tmp_path / "in", tmp_path / "out", settings=settings_, jobs=1)
    assert result.rejected.select("row", "similarity").collect().rows() == [(1, 1.0)]
    with pytest.raises(tamis.RecipeError, match="needs verify = exact"):
        tamis.Recipe.load(None, settings={"near_duplicates.measure": "containment", "near_duplicates.verify": "none"})


def test_a_goal_chooses_bands_for_these_records() -> None:
    frame = pl.DataFrame({"text": planted(seed=8, originals=100)})
    exact = near_duplicates(frame, threshold=0.7, recall=0.999)
    assert not exact["keeper"].all()
    believed = near_duplicates(frame, threshold=0.7, recall=0.9, precision=0.5, verify="none")
    assert believed["keeper"].sum() == pytest.approx(exact["keeper"].sum(), abs=5)


@pytest.mark.parametrize(("text", "size"), [("1", 1), (7, 7), ("500MB", 500_000_000), ("2 GiB", 2**31), ("1.5kb", 1500), ("3b", 3)])
def test_memory_is_given_in_the_usual_units(text: int | str, size: int) -> None:
    assert byte_count(text) == size


def test_tables_of_arrow_are_frames_and_lists_are_told() -> None:
    frame = pl.DataFrame({"text": ["a b c d e f", "A b c d e f", "other"]})
    assert near_duplicates(frame.to_arrow()).equals(near_duplicates(frame))
    with pytest.raises(ArgumentError, match="frame is of type list; give a polars, pandas or pyarrow table"):
        near_duplicates(["a", "b"])  # type: ignore[arg-type]


def test_a_missing_column_names_the_nearest_one() -> None:
    with pytest.raises(ColumnError, match=r"no column 'txt'. Did you mean 'text'\? The columns are: id, text"):
        near_duplicates(pl.DataFrame({"id": [1], "text": ["a"]}), "txt")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: signatures(pl.Series("n", [1])), ColumnError, "column 'n' must be String or Binary, it is Int64"),
        (lambda: near_duplicates(pl.DataFrame({"text": [1]})), ColumnError, "must be String or Binary"),
        (lambda: signatures(pl.Series(["a"]), scheme="legacy"), ArgumentError, "scheme must be one of fss, affine32, got 'legacy'"),  # type: ignore[arg-type]
        (lambda: near_duplicates(pl.DataFrame({"text": ["a"]}), verify="yes"), ArgumentError, "verify must be one of"),  # type: ignore[arg-type]
        (lambda: near_duplicates(pl.DataFrame({"text": ["a"]}), threshold=1.5), ArgumentError, "threshold .* got 1.5"),
        (lambda: near_duplicates(pl.DataFrame({"text": ["a"]}), ngram=0), ArgumentError, "ngram .* got 0"),
        (lambda: near_duplicates(pl.DataFrame({"text": ["a"]}), memory="much"), ArgumentError, "memory must be .* got 'much'"),
        (lambda: near_duplicates(pl.DataFrame({"text": ["a"]}), memory=0), ArgumentError, "memory must be .* got 0"),
        (lambda: near_duplicates(pl.DataFrame({"text": ["a"]}), verify="none", measure="containment"), ArgumentError, "measure must be"),
        (lambda: near_duplicates(pl.DataFrame({"text": ["a"]}), recall=1.0), ArgumentError, "recall must lie between 0 and 1, got 1.0"),
        (lambda: near_duplicates(pl.DataFrame({"text": ["a"]}), precision=0.5), ArgumentError, "precision needs a recall"),
        (lambda: near_duplicates(pl.DataFrame({"text": ["a"]}), recall=0.999999, num_perm=8), ArgumentError, "cannot be reached"),
        (lambda: near_duplicates(pl.DataFrame({"text": ["a"]}), num_perm=0), ArgumentError, "num_perm .* got 0"),
    ],
)
def test_unfit_arguments_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
