"""Signatures that know what they are: golden, mergeable, exchanged with datasketch both ways, and never mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import xxhash
from datasketch import MinHash, MinHashLSH, MinHashLSHForest
from hypothesis import given
from hypothesis import strategies as st

import tamis
from tamis.errors import ColumnError
from tamis_kernels import ArgumentError

TEXTS = pl.Series(["tamis is a fine sieve", "tamis is a very fine sieve", "Größe 語", ""])
GOLDEN = {
    "fss byte": [
        [457919201, 299184872, 49726149, 585269655],
        [233616202, 299184872, 49726149, 12803959],
        [217996844, 375064956, 83792363, 1018697136],
        [4294967295, 4294967295, 4294967295, 4294967295],
    ],
    "fss char": [
        [457919201, 299184872, 49726149, 585269655],
        [233616202, 299184872, 49726149, 12803959],
        [638351038, 1241991071, 626428983, 134600269],
        [4294967295, 4294967295, 4294967295, 4294967295],
    ],
    "fss word": [
        [188925960, 3540805739, 2258587733, 532119188],
        [239607525, 386524235, 429489523, 1664420582],
        [356845720, 1207436040, 3390908629, 3381456809],
        [4294967295, 4294967295, 4294967295, 4294967295],
    ],
    "affine32 byte": [
        [10129394, 214674817, 331994936, 380594393],
        [10129394, 190389015, 331994936, 380594393],
        [46001516, 240658230, 547863823, 564744687],
        [4294967295, 4294967295, 4294967295, 4294967295],
    ],
    "affine32 char": [
        [10129394, 214674817, 331994936, 380594393],
        [10129394, 190389015, 331994936, 380594393],
        [986597545, 450877620, 313960636, 1335848121],
        [4294967295, 4294967295, 4294967295, 4294967295],
    ],
    "affine32 word": [
        [442407736, 2124772901, 95853096, 1395549061],
        [442407736, 409162233, 95853096, 1768009014],
        [2284503285, 2343711441, 1101225953, 1691597789],
        [4294967295, 4294967295, 4294967295, 4294967295],
    ],
}


def made(texts: Any = TEXTS, **arguments: Any) -> tamis.Signatures:
    return tamis.Signatures.of(pl.Series(texts, dtype=pl.String), **({"num_perm": 4, "seed": 7, "ngram": 3} | arguments))


@pytest.mark.parametrize("scheme", ["fss", "affine32"])
@pytest.mark.parametrize("unit", ["byte", "char", "word"])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_the_golden_signatures_never_change(scheme: Any, unit: Any, backend: Any) -> None:
    assert made(scheme=scheme, unit=unit, backend=backend).values.tolist() == GOLDEN[f"{scheme} {unit}"]


def test_datasketch_indexes_take_our_signatures_and_ours_take_its() -> None:
    words = [[f"w{n}" for n in range(start, start + 60)] for start in (0, 2, 500)]
    ours = tamis.Signatures.of(pl.Series([" ".join(row) for row in words]), "affine32", seed=3, unit="word", ngram=1)
    theirs = []
    for row in words:
        theirs.append(MinHash(num_perm=128, seed=3, hashfunc=xxhash.xxh32_intdigest))
        theirs[-1].update_batch([word.encode() for word in row])
    given_back = tamis.Signatures.from_datasketch(theirs, "word-1")
    np.testing.assert_array_equal(given_back.values, ours.values)
    assert given_back.jaccard(ours).tolist() == [1.0, 1.0, 1.0]
    index, forest = MinHashLSH(threshold=0.7, num_perm=128), MinHashLSHForest(num_perm=128)
    for number, sketch in enumerate(ours.to_datasketch()):
        index.insert(number, sketch)
        forest.add(number, sketch)
    forest.index()
    assert sorted(index.query(theirs[0])) == [0, 1]
    assert sorted(forest.query(theirs[1], 2)) == [0, 1]


@given(
    st.lists(st.tuples(st.text("ab é", max_size=12), st.text("ab é", max_size=12)), min_size=1, max_size=5),
    st.sampled_from(["fss", "affine32"]),
)
def test_merging_gives_the_signatures_of_unions(pairs: list[tuple[str, str]], scheme: Any) -> None:
    left, right = ([" ".join(text.split()) for text in side] for side in zip(*pairs, strict=True))
    both = [" ".join(pair) for pair in zip(left, right, strict=True)]
    arguments = {"scheme": scheme, "unit": "word", "ngram": 1}
    merged = made(left, **arguments).merge(made(right, **arguments))
    np.testing.assert_array_equal(merged.values, made(both, **arguments).values)


def test_a_trip_to_disk_keeps_everything(tmp_path: Path) -> None:
    ours = made()
    ours.write_parquet(tmp_path / "s.parquet")
    again = tamis.Signatures.read_parquet(tmp_path / "s.parquet")
    np.testing.assert_array_equal(again.values, ours.values)
    assert (again.scheme, again.seed, again.shingle, len(again)) == ("fss", 7, "byte-3", 4)
    assert again == ours
    assert again != made(seed=8)
    assert again != made(TEXTS[::-1])
    assert again != "signatures"
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(ColumnError, match="holds no signatures"):
        tamis.Signatures.read_parquet(tmp_path / "other.parquet")


@pytest.mark.parametrize("other", [{"scheme": "affine32"}, {"seed": 8}, {"num_perm": 5}, {"ngram": 4}, {"unit": "char"}])
def test_what_does_not_match_is_never_mixed(other: dict[str, Any]) -> None:
    for mix in (made().jaccard, made().merge):
        with pytest.raises(ArgumentError, match="cannot be compared or merged"):
            mix(made(**other))


def test_what_datasketch_does_not_know_is_refused() -> None:
    with pytest.raises(ArgumentError, match="datasketch knows no scheme 'fss'"):
        made().to_datasketch()
    for given_sketches in ([], [MinHash(scheme="legacy")], [MinHash(seed=1), MinHash(seed=2)]):
        with pytest.raises(ArgumentError, match="scheme affine32, one seed and one length"):
            tamis.Signatures.from_datasketch(given_sketches)


def test_what_are_no_signatures_is_refused() -> None:
    with pytest.raises(ArgumentError, match="scheme must be one of"):
        tamis.Signatures(np.zeros((1, 2), np.uint32), "legacy", 1)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"uint32 of shape \(n, k\)"):
        tamis.Signatures(np.zeros(2, np.uint32), "fss", 1)
    with pytest.raises(ArgumentError, match="seed must be a whole number from 0 to 4294967295, got -1"):
        tamis.Signatures(np.zeros((1, 2), np.uint32), "fss", -1)
    with pytest.raises(ArgumentError, match=r"sketches holds what is of type str; give datasketch\.MinHash objects"):
        tamis.Signatures.from_datasketch(["a"])
