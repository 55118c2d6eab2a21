"""Values as TOML, which the standard library reads and does not write."""

from __future__ import annotations

import json
import re
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml(value: Any) -> str:
    """Return a value as TOML on one line; what is neither a number nor a truth value, a text, a list or a dict, as its text."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key if _BARE.fullmatch(key) else toml(key)} = {toml(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, float):
        return repr(float(value))  # not as NumPy writes its own
    told = value if isinstance(value, (bool, int)) else str(value)
    return json.dumps(told, ensure_ascii=False).replace("\x7f", "\\u007f")  # which JSON leaves as it is and TOML forbids
