"""What every section of a recipe is, those of checks too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

if TYPE_CHECKING:
    from collections.abc import Iterable


class Section(BaseModel):
    """A section of a recipe: frozen, strict about unknown keys, and truth is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool):
            kind = cls.model_fields[str(info.field_name)].annotation
            if {int, float} & {kind, *get_args(kind)}:
                message = "input should be a number"
                raise ValueError(message)
        return value

    @staticmethod
    def refuse_idle(keys: Iterable[str], why: str) -> None:
        """Refuse keys, if there are any, that would do nothing."""
        if named := ", ".join(keys):
            message = f"{named} would do nothing, for {why}"
            raise ValueError(message)

    def changed(self) -> list[str]:
        """Return the keys whose values are not those that they have by default."""
        return [key for key, field in type(self).model_fields.items() if getattr(self, key) != field.get_default(call_default_factory=True)]
