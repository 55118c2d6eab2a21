"""Recipes: defaults, files, overrides, and errors that say where, what and what was meant."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

import tamis
from tamis.checks import registry
from tamis.errors import RecipeError
from tamis.recipe import Recipe, builtin_names, parse_settings, recipe_model
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path


def sections(recipe: Recipe) -> dict[str, Any]:
    return recipe.canonical()


@pytest.mark.parametrize("name", builtin_names())
def test_each_shipped_recipe_loads_and_survives_a_round_trip_through_toml(name: str) -> None:
    recipe = Recipe.load(name)
    again = Recipe.from_tree(tomllib.loads(recipe.to_toml()))
    assert again.canonical() == recipe.canonical()
    assert again.digest() == recipe.digest()


def test_the_shipped_recipes_are_those_that_the_documents_name() -> None:
    assert builtin_names() == ["images", "sensors", "text", "text_datatrove", "text_dolma3", "text_nemo_curator", "text_sedd"]


def test_every_check_has_a_section() -> None:
    keys = sections(Recipe.load())
    assert {check.name for check in registry()} <= set(keys)


def test_every_key_has_a_description_and_a_default() -> None:
    schema = recipe_model().model_json_schema()
    for definition in [schema, *schema["$defs"].values()]:
        for key, option in definition["properties"].items():
            section = schema["$defs"].get(str(option.get("$ref", "")).removeprefix("#/$defs/"), {})
            assert option.get("description") or section.get("description"), key
        assert not definition.get("required")


def test_an_unknown_key_names_the_nearest_known_one_the_file_and_the_section(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[near_duplicates]\ntreshold = 0.9\n")
    with pytest.raises(RecipeError, match=r"unknown key 'near_duplicates.treshold' in \[near_duplicates\].*'threshold'") as caught:
        Recipe.load(file)
    assert str(file) in str(caught.value)


def test_an_unknown_section_names_the_nearest_known_one() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'normalize'"):
        Recipe.from_tree({"normalise": {"method": "zscore"}})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("near_duplicates.threshold", 1.5, "near_duplicates.threshold = 1.5"),
        ("normalize.method", "z-score", 'normalize.method = "z-score"'),
        ("shards.rows", 0, "shards.rows = 0"),
        ("seed", True, "seed = true is wrong: input should be a number"),
        ("near_duplicates.threshold", True, "near_duplicates.threshold = true is wrong: input should be a number"),
        ("formats.timezone", "Mars/Olympus", "Mars/Olympus"),
        ("integrity.reject", ["broken"], "broken"),
        ("exact_duplicates.enabled", "perhaps", "perhaps"),
        ("exact_duplicates", False, "exact_duplicates = false is wrong: input should be a section of keys; a check is switched off by"),
        ("missing.required", "a", 'missing.required = "a" is wrong: input should be a list, such as ["a", "b"]'),
    ],
)
def test_a_wrong_value_is_told_with_its_key_and_origin(key: str, value: object, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.load(settings={key: value})
    assert words in str(caught.value)
    assert str(caught.value).startswith("--set")


def test_an_issue_that_is_rejected_must_be_looked_for() -> None:
    with pytest.raises(RecipeError, match="reject names blurry, which issues does not"):
        Recipe.load(settings={"quality.issues": ["dark"], "quality.reject": ["dark", "blurry"]})


def test_a_level_of_labels_may_be_written_as_a_number() -> None:
    assert Recipe.load(settings={"labels.level": 1}) == Recipe.load(settings={"labels.level": "1"})


def test_a_recipe_with_any_text_survives_a_round_trip_through_toml() -> None:
    recipe = Recipe.load(settings={"formats.missing_words": ["a\x7fb", 'say "no"', "\n", "Größe"], "labels.level": "^(.)\x7f"})
    assert Recipe.from_tree(tomllib.loads(recipe.to_toml())) == recipe


def test_a_file_that_is_not_toml_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("threshold: 0.9\n")
    with pytest.raises(RecipeError, match="not a readable TOML file"):
        Recipe.load(file)


def test_a_missing_file_names_the_built_in_recipes() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'images'"):
        Recipe.load("image")


def test_settings_are_toml_values_or_bare_words() -> None:
    settings = parse_settings(["a.b=0.5", "c=true", "d=zscore", 'e=["x", "y"]', "f=a=b"])
    assert settings == {"a.b": 0.5, "c": True, "d": "zscore", "e": ["x", "y"], "f": "a=b"}


def test_settings_that_are_no_dictionary_by_key_are_told() -> None:
    with pytest.raises(ArgumentError, match=r"settings is of type list; give a dictionary or None, not \['seed=1'\]"):
        Recipe.load(settings=["seed=1"])  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="settings must be a dictionary by key"):
        Recipe.load(settings={1: 2})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("given", "told"),
    [({"source": 3}, "source is of type int"), ({"out": None}, "out is of type NoneType"), ({"jobs": "2"}, "jobs is of type str; give")],
)
def test_arguments_of_a_wrong_type_are_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        tamis.clean(**({"source": "here", "out": "there"} | given))


def test_a_section_of_settings_changes_the_keys_that_it_names_alone() -> None:
    more = {"quality_control.enabled": True}
    nested = {"near_duplicates": {"threshold": 0.9}, "quality_control": {"on_flag.spike": "null"}} | more
    dotted = {"near_duplicates.threshold": 0.9, "quality_control.on_flag.spike": "null"} | more
    assert Recipe.load("text_dolma3", settings=nested) == Recipe.load("text_dolma3", settings=dotted)
    with pytest.raises(RecipeError, match=r"--set \(settings\): unknown key 'near_duplicates\.treshold'.*'threshold'"):
        Recipe.load(settings={"near_duplicates": {"treshold": 0.9}})


@pytest.mark.parametrize(
    ("idle", "remedy"),
    [
        ({"normalize.columns": ["a"]}, {"normalize.method": "zscore"}),
        ({"normalize.by": "a"}, {"normalize.enabled": False}),
        ({"missing.columns": ["a"]}, {"missing.impute": "mean"}),
        ({"missing.constant": 5, "missing.impute": "mean"}, {"missing.impute": "constant"}),
        ({"quality_control.learn": ["spike"]}, {"quality_control.enabled": True}),
        ({"discovery.zone": "Europe/Paris"}, {"discovery.enabled": False}),
        ({"output.readings": ["a"]}, {"output.tables": "long"}),
    ],
)
def test_a_key_that_would_do_nothing_is_told_with_the_one_that_it_needs(idle: dict[str, Any], remedy: dict[str, Any]) -> None:
    (needed,) = remedy
    key = next(iter(idle)).partition(".")[2]
    with pytest.raises(RecipeError, match=rf"{key} would do nothing, for .*{needed.partition('.')[2]}"):
        Recipe.load(settings=idle)
    whole = Recipe.load(settings=idle | remedy)
    assert Recipe.from_tree(whole.canonical()) == whole


def test_a_setting_without_a_value_is_told() -> None:
    with pytest.raises(RecipeError, match="KEY=VALUE"):
        parse_settings(["near_duplicates.threshold"])


def test_the_digest_ignores_what_cannot_change_a_verdict() -> None:
    plain = Recipe.load()
    assert Recipe.load(settings={"output.materialise": "copy", "limits.seconds": 5}).digest() == plain.digest()
    assert Recipe.load(settings={"near_duplicates.threshold": 0.9}).digest() != plain.digest()


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(recipe_model().model_json_schema()))["properties"]["near_duplicates"]


def test_disabled_checks_do_not_run() -> None:
    names = [check.name for check in Recipe.load(settings={"integrity.enabled": False}).checks(backend="cpu")]
    assert "integrity" not in names
    assert "exact_duplicates" in names
