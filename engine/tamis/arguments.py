"""Arguments of a wrong type, told in one line: what a public function takes is what its annotations say, and only they say it."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache, wraps
from inspect import signature
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from tamis.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

    Function = TypeVar("Function", bound=Callable[..., Any])

KINDS: dict[Any, tuple[type, ...]] = {bool: (bool, np.bool_), int: (int, np.integer), float: (int, float, np.integer, np.floating)}
WORDS: dict[Any, str] = {
    NoneType: "None",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a text",
    bytes: "bytes",
    Mapping: "a dictionary",
    np.ndarray: "a NumPy array",
}
LISTS = (Sequence, Collection, Iterable)


def checked(function: Function) -> Function:
    """Let a function check the types of its arguments against its annotations; values and what generators yield it checks itself.

    Numbers of NumPy are handed on as Python's, which JSON and Arrow know.

    Raises
    ------
    ArgumentError
        From the function, for an argument of another type: which one, what it is, and what is wanted.
    """
    asked = signature(function)

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            given = asked.bind(*args, **options)
        except TypeError:
            return function(*args, **options)  # which says as Python does what is missing or too much
        check_types(given.arguments, _hints(function))
        given.arguments = {name: plain(value) for name, value in given.arguments.items()}
        return function(*given.args, **given.kwargs)

    return cast("Function", call)


def check_fields(instance: Any) -> None:
    """Raise ArgumentError unless the attributes of a dataclass are of the types that it declares."""
    check_types({field.name: getattr(instance, field.name) for field in fields(instance)}, _hints(instance.__class__))


def check_types(given: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Raise ArgumentError unless each of what is given, by name, is of the type that is hinted for it."""
    for name, value in given.items():
        hint = hints.get(name, Any)
        if not fits(value, hint):
            message = f"{name} is of type {type(value).__name__}; give {in_words(hint)}, not {_shown(value)}"
            raise ArgumentError(message)


def plain(value: Any) -> Any:
    """Return a number of NumPy, or several in a tuple, as Python's; all else as it is."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value.item() if isinstance(value, np.generic) else value


@cache
def _hints(thing: Any) -> dict[str, Any]:
    """Return annotations; they are looked up when they are first needed, for they may name what is defined later."""
    return get_type_hints(thing, include_extras=True)


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of a type: numbers may be NumPy's, truth is no number, and a text is no list."""
    kind, parts = _taken_apart(hint)
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if kind in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if kind is Annotated:
        return fits(value, parts[0])
    if kind is Literal:
        return isinstance(value, tuple(map(type, parts)))
    if kind is tuple:
        return isinstance(value, (tuple, list)) and len(value) == len(parts) and all(map(fits, value, parts))
    if kind is Mapping:
        return isinstance(value, Mapping) and all(fits(one, parts[1]) for one in value.values())
    if kind in LISTS:
        if not isinstance(value, Collection) or isinstance(value, (str, bytes, Mapping)):
            return kind is Iterable and isinstance(value, Iterator)
        return parts[0] is Any or all(fits(one, parts[0]) for one in value)
    if kind in (int, float) and isinstance(value, KINDS[bool]):
        return False
    return isinstance(value, KINDS.get(kind, kind))


def in_words(hint: Any) -> str:
    """Return what is wanted, to go on after "give"."""
    kind, parts = _taken_apart(hint)
    if kind in (Union, UnionType):
        alone = [part for part in parts if part is not NoneType and get_origin(part) not in LISTS]
        lists = ["a list of such" if _members(*get_args(part)) == alone else in_words(part) for part in parts if get_origin(part) in LISTS]
        *most, last = [*map(in_words, alone), *lists, *(["None"] if NoneType in parts else [])]
        return f"{', '.join(most)} or {last}" if most else last
    if kind is Annotated:
        return str(parts[1])
    if kind is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if kind is tuple:
        return f"({', '.join(map(in_words, parts))})"
    if kind in LISTS:
        return "a list" if parts[0] is Any else f"a list, each {in_words(parts[0])}"
    if kind is Mapping and parts[1] is not Any:
        return f"a dictionary, each value {in_words(parts[1])}"
    if kind is np.ndarray and (dtype := get_args(parts[1])[0]) is not Any:
        return f"a NumPy array of {dtype.__name__}"
    return WORDS.get(kind, f"{'an' if kind.__name__[0] in 'AEIOU' else 'a'} {kind.__name__}")


def _taken_apart(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the kind of a type and what is in its brackets; a tuple of any length is a sequence."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if hasattr(kind, "__value__"):  # what the statement `type` has declared, as NumPy 2.5 does NDArray
        return _taken_apart(kind.__value__[parts] if parts else kind.__value__)
    return (Sequence, parts[:1]) if kind is tuple and parts[1:] == (...,) else (kind, parts)


def _members(hint: Any) -> list[Any]:
    return list(get_args(hint)) if get_origin(hint) in (Union, UnionType) else [hint]


def _shown(value: Any) -> str:
    """Return a value in a few words of one line."""
    said = reprlib.repr(value)
    return said if len(said.splitlines()) == 1 else "this one"
