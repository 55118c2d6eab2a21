"""Recipes: what to clean and how, as TOML checked by pydantic. Every key has a default and a sentence; an unknown key is an error.

The sections that every run has (`output`, `shards`, `limits`) stand here; one section a check comes from the checks themselves.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import pydantic
import xxhash
from pydantic import BaseModel, Field, model_validator

from tamis.arguments import checked
from tamis.checks import Check, registry
from tamis.checks.named import Named
from tamis.errors import RecipeError, nearest
from tamis.names import AnyPath, at_home
from tamis.section import Section
from tamis.toml import toml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tamis_kernels.backend import BackendName

Materialise = Literal["hardlink", "copy", "symlink", "manifest"]


class OutputOptions(Section):
    """What is written."""

    materialise: Materialise = Field(
        default="hardlink",
        description="How kept files reach clean/: hardlink (a copy where no link can be made), copy, symlink, or manifest (only listed).",
    )
    shape: Literal["same", "files"] = Field(
        default="same",
        description="How kept members of archives and media tables are written: same (a tar gives a tar, a zip a zip, a table a table) or "
        "files (the container becomes a folder).",
    )
    tables: Literal["same", "long", "wide"] = Field(
        default="same",
        description="How tables of readings are written: same (rows as in the source), long (a row a reading: time, sensor, channel, "
        "value, marks) or wide (a row a time, a column a sensor and channel). Tables without times or numbers are written as they are.",
    )
    time: str = Field(
        default="", description="Column of times of the long and wide form; none given: the first column of times, by name if one tells."
    )
    sensor: tuple[str, ...] = Field(
        default=(),
        description="Columns that name the sensor; none given: texts and whole numbers whose names say so, as station or device_id.",
    )
    by_file: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="Whether the file's name is part of the sensor's; auto: where no column names it and there are several files.",
    )
    channel: str = Field(
        default="",
        description="Column of texts that names the channel; none given: the one whose name says so, as channel or parameter, if there is.",
    )
    readings: tuple[str, ...] = Field(
        default=(), description="Number columns that hold readings; none given: all but those that name the sensor."
    )
    compression: Literal["zstd", "lz4", "snappy", "none"] = Field(
        default="zstd",
        description="Codec of the Parquet files written; columns of numbers that it hardly makes smaller are written without.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        """Refuse keys of the long and wide form where neither is written."""
        idle = [key for key in self.changed() if key in ("time", "sensor", "by_file", "channel", "readings")]
        if self.tables == "same":
            self.refuse_idle(idle, 'tables is "same": set output.tables to long or wide')
        return self

    def named_columns(self) -> dict[str, Named]:
        """Return the columns that the options name, by option; each must be in a table of the source."""
        one = {"time": self.time, "channel": self.channel}
        return {"sensor": Named(self.sensor), "readings": Named(self.readings)} | {key: Named((name,)) for key, name in one.items() if name}

    def layout(self) -> str:
        """Return what decides which files of the clean corpus there are: a run that is resumed must agree on it."""
        return self.model_dump_json(exclude={"materialise", "compression"})


class ShardOptions(Section):
    """How a corpus is cut. Sizes change the layout of the parts, never a verdict."""

    rows: int = Field(default=262_144, ge=1, description="Rows of a table per shard, at most.")
    megabytes: int = Field(default=64, ge=1, description="Uncompressed megabytes (10^6 bytes) of a table per shard, aimed at.")
    files: int = Field(default=256, ge=1, description="Media files per shard.")


class LimitOptions(Section):
    """What one record may cost before it is given up."""

    pixels: int = Field(default=178_956_970, ge=1, description="Declared pixels of a picture above which it is a bomb (Pillow's limit).")
    seconds: float = Field(default=30.0, gt=0, description="Seconds that the decoding of one file may take.")
    megabytes: int = Field(default=4096, ge=256, description="Resident megabytes (10^6 bytes) of one worker before its record is given up.")
    file_megabytes: int = Field(default=1024, ge=1, description="Size in megabytes (10^6 bytes) above which a media file is not read.")


class Recipe(Section):
    """A recipe. `Recipe.load()` gives one with a section for every check; this base holds the sections that belong to none."""

    seed: int = Field(default=1, ge=0, lt=2**32, description="Seed of every random choice (MinHash permutations).")
    output: OutputOptions = Field(default_factory=OutputOptions, description="What is written.")
    shards: ShardOptions = Field(default_factory=ShardOptions, description="How the corpus is cut.")
    limits: LimitOptions = Field(default_factory=LimitOptions, description="What one record may cost.")

    @classmethod
    @checked
    def load(cls, path: AnyPath | None = None, *, settings: Mapping[str, Any] | None = None) -> Recipe:
        """Read a recipe from a TOML file, or by the name of one that ships with tamis (`images`, `sensors`, `text`).

        Parameters
        ----------
        path
            File, or name of a built-in recipe; None for the defaults of every key.
        settings
            Overrides by dotted key, e.g. `{"near_duplicates.threshold": 0.9}`, or by section, whose other keys stay as they are, e.g.
            `{"near_duplicates": {"threshold": 0.9}}`.

        Raises
        ------
        RecipeError
            No such file, not TOML, or a key or value that is wrong; the message names file, key, value and the nearest known key.
        """
        if path is None:
            return cls.from_tree({}, where="settings", settings=settings)
        file = builtin(os.fspath(path)) or at_home(path)
        try:
            tree = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            message = (
                f"no recipe at {str(path)!r}: give a TOML file or one of the built-in names {', '.join(builtin_names())}."
                f"{nearest(str(path), builtin_names())}"
            )
            raise RecipeError(message) from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            message = f"{file}: not a readable TOML file: {error}"
            raise RecipeError(message) from None
        return cls.from_tree(tree, where=str(file), settings=settings)

    @classmethod
    @checked
    def from_tree(cls, tree: Mapping[str, Any], *, where: str = "recipe", settings: Mapping[str, Any] | None = None) -> Recipe:
        """Check a recipe given as nested dicts; `where` names its origin in messages."""
        merged = json.loads(json.dumps(tree, default=str))
        settings = _dotted(settings or {})
        for key, value in settings.items():
            _set(merged, key, value)
        try:
            return recipe_model().model_validate(merged)
        except pydantic.ValidationError as error:
            first = _origin(error.errors()[0], where, settings)
            problems = [_explain(problem, recipe_model(), first if i == 0 else where) for i, problem in enumerate(error.errors())]
            raise RecipeError("\n".join(problems)) from None

    def __repr__(self) -> str:
        """Return the keys that are not as they are by default."""
        sections = [(f"{name}.", section) for name, section in self if isinstance(section, Section)]
        plain = [("", self)] if self.seed != type(self).model_fields["seed"].default else []
        changed = [
            f"{prefix}{key}={getattr(section, key)!r}"
            for prefix, section in (*plain, *sections)
            for key in (["seed"] if section is self else section.changed())
        ]
        return f"Recipe({', '.join(changed)})"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to workers as plain values: the class is made anew there."""
        return Recipe.from_tree, (self.canonical(),)

    def canonical(self) -> dict[str, Any]:
        """Return all keys with their values, defaults included, JSON-safe."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """Return the xxh3-128 hex digest of everything that can change a verdict or a clean value."""
        tree = {key: value for key, value in self.canonical().items() if key not in {"limits", "output"}}
        return xxhash.xxh3_128_hexdigest(json.dumps(tree, sort_keys=True).encode())

    def checks(self, *, backend: BackendName = "auto") -> list[Check[Any]]:
        """Return the enabled checks in the order of their verdicts."""
        sections = [(check, getattr(self, check.name)) for check in registry()]
        return [check(options, seed=self.seed, backend=backend) for check, options in sections if options.enabled]

    def to_toml(self) -> str:
        """Return the whole recipe as TOML, every key with its description above it."""
        lines: list[str] = []
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if not isinstance(value, BaseModel):
                lines += [f"# {field.description}", f"{name} = {toml(value)}", ""]
        for name, field in type(self).model_fields.items():
            section = getattr(self, name)
            if isinstance(section, BaseModel):
                lines += [f"# {field.description}", f"[{name}]"]
                for key, option in type(section).model_fields.items():
                    lines += [f"# {option.description}", f"{key} = {toml(getattr(section, key))}"]
                lines.append("")
        return "\n".join(lines)


@cache
def recipe_model() -> type[Recipe]:
    """Return the recipe's class: the fixed sections and one for each check."""
    sections: dict[str, Any] = {
        check.name: (check.Options, Field(default_factory=check.Options, description=check.summary)) for check in registry()
    }
    return pydantic.create_model("FullRecipe", __base__=Recipe, **sections)


def builtin_names() -> list[str]:
    """Return the names of the recipes that ship with tamis."""
    return sorted(file.stem for file in _builtin_folder().glob("*.toml"))


def builtin(name: str) -> Path | None:
    """Return the file of a built-in recipe, or None when there is none of that name."""
    file = _builtin_folder() / f"{name}.toml"
    return file if name.isidentifier() and file.exists() else None


def parse_settings(assignments: Iterable[str]) -> dict[str, Any]:
    """Turn `key.path=value` strings into settings; a value is TOML, or a bare string where it is not.

    Raises
    ------
    RecipeError
        An assignment has no `=`.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            message = f"--set {assignment!r}: write it as KEY=VALUE, e.g. --set near_duplicates.threshold=0.9"
            raise RecipeError(message)
        try:
            settings[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key.strip()] = text
    return settings


def _builtin_folder() -> Path:
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"


def _dotted(settings: Any) -> dict[str, Any]:
    """Return settings with a dotted key for each key of a section."""
    if not isinstance(settings, Mapping) or not all(isinstance(name, str) for name in settings):
        message = f'settings must be a dictionary by key, such as {{"near_duplicates.threshold": 0.9}}, got {settings!r}'
        raise RecipeError(message)
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= (
            {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, Mapping) and "." not in name else {name: value}
        )
    return flat


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        child = tree.setdefault(parent, {})
        if not isinstance(child, dict):
            message = f"--set (settings) {key}: {parent!r} is a value, not a section"
            raise RecipeError(message)
        tree = child
    tree[last] = value


def _origin(problem: Any, where: str, settings: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    return "--set (settings)" if any(key == name or key.startswith(f"{name}.") for name in settings) else where


def _explain(problem: Any, model: type[BaseModel], where: str) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        section = _section(model, path[:-1])
        known = list(section.model_fields) if section else []
        place = f"in [{'.'.join(path[:-1])}]" if path[:-1] else "at the top"
        return f"{where}: unknown key {key!r} {place}.{nearest(path[-1], known)} Known keys: {', '.join(known)}."
    message = _PLAIN.get(problem["type"], problem["msg"]).removeprefix("Value error, ")
    return f"{where}: {key} = {toml(problem['input'])} is wrong: {message[:1].lower()}{message[1:]}."


_PLAIN = {  # what pydantic says in words of Python
    "tuple_type": 'input should be a list, such as ["a", "b"]',
    "model_type": "input should be a section of keys; a check is switched off by its key enabled = false",
}


def _section(model: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    for part in path:
        field = model.model_fields.get(part)
        candidates = [field.annotation, *get_args(field.annotation)] if field else []
        models = [candidate for candidate in candidates if isinstance(candidate, type) and issubclass(candidate, BaseModel)]
        if not models:
            return None
        model = models[0]
    return model
