"""Arguments of wrong types, told by all that is public, and by one rule: the annotations."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import tamis
from tamis import ArgumentError, ColumnError
from tamis.arguments import checked, fits, in_words
from tamis.names import AnyPath

if TYPE_CHECKING:
    from collections.abc import Callable

READINGS = pl.DataFrame({"time": pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 1, 2), "1h", eager=True), "level": range(25)})
GROUPED = pl.DataFrame({"sensor": ["a", "a", "b"], "value": [1.0, 2.0, 5.0]})
SIGNATURES = tamis.Signatures.of(["a fine sieve"], num_perm=4)
NORMALIZER = tamis.Normalizer().fit(np.eye(3))
GROUPS = tamis.GroupNormalizer("sensor").fit(GROUPED)
PICTURES = tamis.PictureNormalizer().fit(np.zeros((2, 8, 8, 3), np.uint8))
STATISTICS = tamis.Statistics().add(READINGS)

PUBLIC: list[tuple[Callable[..., object], dict[str, Any]]] = [
    (tamis.clean, {"source": "none", "out": "none"}),
    (tamis.check, {"source": "none", "out": "none"}),
    (tamis.Result, {"out": "none"}),
    (tamis.Recipe.load, {}),
    (tamis.Recipe.from_tree, {"tree": {}}),
    (tamis.near_duplicates, {"frame": pl.DataFrame({"text": ["a"]})}),
    (tamis.signatures, {"series": ["a"]}),
    (tamis.Signatures, {"values": SIGNATURES.values, "scheme": "fss", "seed": 1}),
    (tamis.Signatures.of, {"texts": ["a"]}),
    (tamis.Signatures.from_datasketch, {"sketches": []}),
    (SIGNATURES.jaccard, {"other": SIGNATURES}),
    (SIGNATURES.merge, {"other": SIGNATURES}),
    (SIGNATURES.write_parquet, {"path": "none"}),
    (tamis.Signatures.read_parquet, {"path": "none"}),
    (tamis.image_hashes, {"pictures": []}),
    (tamis.quality_control, {"data": READINGS}),
    (tamis.discover, {"data": READINGS}),
    (tamis.discover(READINGS).write_confirm, {"path": "none"}),
    (tamis.correct, {"frame": READINGS, "confirmed": "none"}),
    (NORMALIZER.merge, {"other": NORMALIZER}),
    (NORMALIZER.subtract, {"other": NORMALIZER}),
    (NORMALIZER.save, {"path": "none"}),
    (NORMALIZER.load, {"path": "none"}),
    (NORMALIZER.from_dict, {"state": {}}),
    (NORMALIZER.from_statistics, {"columns": {}}),
    (NORMALIZER.get_feature_names_out, {}),
    (NORMALIZER.set_output, {}),
    (tamis.GroupNormalizer, {"by": "sensor"}),
    (GROUPS.fit, {"frame": GROUPED}),
    (GROUPS.transform, {"frame": GROUPED}),
    (GROUPS.inverse_transform, {"frame": GROUPED}),
    (GROUPS.from_dict, {"state": {}}),
    (GROUPS.from_statistics, {"by": "sensor", "groups": {}}),
    (PICTURES.fit, {"pixels": np.zeros((8, 8, 3), np.uint8)}),
    (PICTURES.partial_fit, {"pixels": np.zeros((8, 8, 3), np.uint8)}),
    (PICTURES.transform, {"pixels": np.zeros((8, 8, 3), np.uint8)}),
    (PICTURES.inverse_transform, {"values": np.zeros((8, 8, 3), np.float32)}),
    (PICTURES.from_dict, {"state": {}}),
    (tamis.Statistics, {}),
    (STATISTICS.add, {"frame": READINGS}),
    (STATISTICS.remove, {"frame": READINGS}),
    (STATISTICS.moments, {"column": "level"}),
    (STATISTICS.from_dict, {"state": {}}),
    (STATISTICS.__add__, {"other": STATISTICS}),
    (STATISTICS.__sub__, {"other": STATISTICS}),
    (tamis.write_sample, {"directory": "none"}),
]
ARGUMENTS = [
    pytest.param(call, given, name, id=f"{call.__qualname__}-{name}")
    for call, given in PUBLIC
    for name, hint in get_type_hints(call.__init__ if inspect.isclass(call) else call).items()
    if name != "return" and hint is not Any
]


@pytest.mark.parametrize(("call", "given", "name"), ARGUMENTS)
def test_every_public_argument_of_a_wrong_type_is_told(call: Callable[..., object], given: dict[str, Any], name: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{name} is of type complex; give .+, not 1j$"):
        call(**(given | {name: 1j}))


@pytest.mark.parametrize("name", ["method", "quantile_range", "n_quantiles", "output_distribution", "tails", "limits"])
def test_parameters_of_an_estimator_are_told_when_it_is_fitted(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{name} is of type complex; give .+, not 1j$"):
        tamis.Normalizer().set_params(**{name: 1j}).fit(np.eye(3))


@pytest.mark.parametrize("wrong", [{"a": 1}, object(), [[1, 2], [3]], "text", None, [["a"]], [1j]])
def test_what_holds_no_numbers_is_told_by_a_normalizer(wrong: object) -> None:
    with pytest.raises((ArgumentError, ColumnError), match="X"):
        tamis.Normalizer().fit(wrong)


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (int, [1, np.int64(1)], [True, np.True_, 1.0, "1", None]),
        (float, [1, 1.5, np.float32(1), np.int8(1)], [True, "1.5", 1j]),
        (bool, [True, np.False_], [1, 0, "no", None]),
        (str | None, ["a", np.str_("a"), None], [b"a", 1]),
        (AnyPath, ["a", Path("a")], [b"a", None, 1]),
        (Literal["a", "b"], ["a", "c"], [1, ["a"]]),  # which words there are is told by the function
        (tuple[float, float], [(1, 2.0), [1, 2]], [(1,), (1, 2, 3), ("a", "b"), 1, "ab"]),
        (tuple[float, ...], [(), (1, 2.5), [3]], [("a",), 1]),
        (Sequence[str], [["a"], ("a",), {"a"}, np.array(["a"]), pl.Series(["a"]), []], ["a", b"a", [1], {"a": 1}, iter("a"), 3]),
        (Iterable[str], [["a"], iter("a"), (one for one in "a")], ["a", [1], {"a": 1}, pl.DataFrame({"a": [1]})]),
        (Mapping[str, int], [{"a": 1}, {}], [{"a": "b"}, [("a", 1)], None]),
        (NDArray[np.uint8], [np.zeros(3)], [[1], pl.Series([1])]),  # of which dtype is told by the kernel
        (Any, [object()], []),
    ],
)
def test_what_fits(hint: Any, right: list[object], wrong: list[object]) -> None:
    assert [fits(one, hint) for one in right + wrong] == [True] * len(right) + [False] * len(wrong)


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int | None, "a whole number or None"),
        (str | Sequence[str] | None, "a text, a list of such or None"),
        (bool | str | Sequence[str], "True or False, a text or a list, each a text"),
        (AnyPath | Iterable[AnyPath], "a path or a list of such"),
        (tuple[float, float | None], "(a number, a number or None)"),
        (Literal["cpu", "cuda"] | tamis.Result, "one of cpu, cuda or a Result"),
        (Mapping[str, tamis.Recipe], "a dictionary, each value a Recipe"),
        (NDArray[np.uint8] | None, "a NumPy array of uint8 or None"),
        (NDArray[Any], "a NumPy array"),
        (Iterable[Any], "a list"),
        (tuple[float, ...], "a list, each a number"),
    ],
)
def test_what_is_wanted_is_said_in_words(hint: Any, words: str) -> None:
    assert in_words(hint) == words


def test_a_function_that_is_checked_is_still_itself() -> None:
    @checked
    def half(number: float) -> float:
        """Return half of a number."""
        return number / 2

    assert (half(3), half.__name__, half.__doc__) == (1.5, "half", "Return half of a number.")
    assert str(inspect.signature(tamis.clean)).startswith("(source: 'AnyPath | Iterable[AnyPath]', out: 'AnyPath', recipe:")
    with pytest.raises(TypeError, match="unexpected keyword argument 'jbos'"):
        tamis.clean("a", "b", jbos=2)  # type: ignore[call-arg]


class Elsewhere(os.PathLike[str]):
    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_whatever_tells_its_path_is_one(tmp_path: Path) -> None:
    READINGS.write_csv(tmp_path / "a.csv")
    (tmp_path / "recipe.toml").write_text("seed = 3")
    assert tamis.Recipe.load(Elsewhere(tmp_path / "recipe.toml")).seed == 3
    result = tamis.check(Elsewhere(tmp_path / "a.csv"), Elsewhere(tmp_path / "out"), Elsewhere(tmp_path / "recipe.toml"), jobs=1)
    assert tamis.Result(Elsewhere(tmp_path / "out")).manifest == result.manifest
    assert tamis.quality_control(Elsewhere(tmp_path / "a.csv"), learn=False).summary["readings"].to_list() == [25]
    NORMALIZER.save(Elsewhere(tmp_path / "scaler.json"))
    assert tamis.Normalizer.load(Elsewhere(tmp_path / "scaler.json")).to_dict() == NORMALIZER.to_dict()
    hashes = tamis.image_hashes([Elsewhere(tmp_path / "none.jpg"), tmp_path / "none.jpg", str(tmp_path / "none.jpg")])
    assert hashes["key"].unique().to_list() == [str(tmp_path / "none.jpg")]


def test_a_recipe_may_be_a_dictionary_and_progress_a_switch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    READINGS.write_csv(tmp_path / "a.csv")
    made = tamis.check(tmp_path / "a.csv", tmp_path / "out", {"seed": 3}, settings={"shards.rows": 9}, jobs=np.int64(1), progress=True)  # type: ignore[arg-type]
    assert (made.manifest["recipe"]["seed"], made.manifest["recipe"]["shards"]["rows"]) == (3, 9)
    assert "records" in capsys.readouterr().err
    tamis.check(tmp_path / "a.csv", tmp_path / "out", jobs=1, overwrite=True, progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("what", "make", "take"),
    [
        ("the normalizer", NORMALIZER.save, tamis.Normalizer.load),
        ("the signatures", SIGNATURES.write_parquet, tamis.Signatures.read_parquet),
    ],
)
def test_a_file_that_cannot_be_written_or_read_is_told(
    what: str, make: Callable[[Any], None], take: Callable[[Any], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(tamis.OutputError, match=f"{what} cannot be written to .*; name another file"):
        make(tmp_path)
    (tmp_path / "other").write_text('{"format": "tamis-normalizer/2"}')
    for path in (tmp_path / "other", tmp_path / "none", tmp_path):
        with pytest.raises(ArgumentError, match=f"{what} cannot be read from .*; give a file that .* has written"):
            take(path)
    monkeypatch.setenv("HOME", str(tmp_path))
    make("~/kept")
    assert take("~/kept") is not None
    assert (tmp_path / "kept").is_file()


def test_numbers_of_numpy_are_written_as_numbers(tmp_path: Path) -> None:
    scaler = tamis.Normalizer("quantile", n_quantiles=np.int64(5), tails=(np.float32(1), np.float32(99)))  # type: ignore[arg-type]
    scaler.fit(np.arange(9.0)).save(tmp_path / "scaler.json")
    assert tamis.Normalizer.load(tmp_path / "scaler.json").get_params() == tamis.Normalizer("quantile", n_quantiles=5).get_params()
