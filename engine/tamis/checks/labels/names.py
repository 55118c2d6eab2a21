"""Names of classes that are nearly equal: spelled in another case, with other spaces or marks, in the plural, or with a slip of the pen."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORTEST, LONG = 5, 8  # letters of a name in which a slip counts, and in which one replaced letter does
_PLURALS = re.compile(r"(?<=\w)(?:(?<=x)es|(?<=ch)es|(?<=sh)es|(?<=ss)es|(?<![sui])s)$")


def folded(name: str) -> str:
    """Return a name without case, marks, spaces and compatible forms of its letters, in the singular of English."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    letters = re.sub(r"[\W_]+", "", plain) or plain.strip()
    return _PLURALS.sub("", letters) if letters.isalpha() and len(letters) > 3 else letters


def alike(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return pairs of nearly equal names, the rarer one first, in order; of several spellings of one name, each with the most frequent.

    Names with digits are numbers or identifiers and are alike only where nothing but case, marks and spaces differ. Of others, two letters
    exchanged, and one letter too many or too few but for the first, make a slip; one letter replaced only within a long name, for `train`
    and `grain`, `house` and `horse` are different things.
    """
    by_form: dict[str, list[str]] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        by_form.setdefault(folded(name), []).append(name)
    pairs = {(name, group[0]) for group in by_form.values() for name in group[1:]}
    for forms in _slips([form for form in by_form if len(form) >= SHORTEST and form.isalpha()]):
        often, rare = sorted((by_form[form][0] for form in forms), key=lambda name: (-counts[name], name))
        pairs.add((rare, often))
    return sorted(pairs)


def _slips(forms: list[str]) -> set[tuple[str, str]]:
    """Return pairs of forms one slip apart, by the forms that each becomes when a letter is left out."""
    less: dict[str, list[str]] = {}
    for form in forms:
        less.setdefault(form, []).append(form)
        for place in range(1, len(form)):
            less.setdefault(form[:place] + form[place + 1 :], []).append(form)
    near = {(min(a, b), max(a, b)) for group in less.values() for i, a in enumerate(group) for b in group[i + 1 :] if a != b}
    return {(a, b) for a, b in near if _one_slip(a, b)}


def _one_slip(left: str, right: str) -> bool:
    """Whether two forms that share one with a letter less are a slip apart."""
    if len(left) != len(right):
        return True
    places = [place for place, (one, other) in enumerate(zip(left, right, strict=True)) if one != other]
    if len(places) == 1:
        return len(left) >= LONG
    return len(places) == 2 and places[1] == places[0] + 1 and left[places[0]] == right[places[1]] and left[places[1]] == right[places[0]]
