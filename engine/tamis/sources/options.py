"""The rules by which tables are read, as a recipe gives them."""

from __future__ import annotations

from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tamis.sources import parsing
from tamis.sources.profile import MISSING_WORDS

MISSING_CODES = (-999.0, -999.9, -9999.0, -99999.0, -999999.0, 1e20, 9.969209968386869e36)


class FormatOptions(BaseModel):
    """The rules by which texts in tables are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    missing_words: tuple[str, ...] = Field(
        default=MISSING_WORDS,
        description="Words, in any case, that stand for no value in columns of numbers, dates and truth values.",
    )
    missing_codes: tuple[float, ...] = Field(
        default=MISSING_CODES,
        description="Numbers that stand for no value; -99, -901 and -902 are left out, for they are often values.",
    )
    min_share: float = Field(
        default=0.95, gt=0.5, le=1.0, description="Share of a column's values that must be of a type to give the column it."
    )
    day_first: Literal["auto"] | bool = Field(
        default="auto", description="Whether 03/04/2014 is the third of April; auto asks the other dates of the column."
    )
    decimal: Literal["auto", ".", ","] = Field(
        default="auto", description="The decimal mark in 1,234; auto asks the other numbers of the column."
    )
    header: Literal["auto"] | bool = Field(
        default="auto",
        description="Whether the first line of delimited text names the columns; auto: unless it reads like the rows below it.",
    )
    join_times: bool = Field(
        default=True, description="Whether a column of dates and one of times of day beside it, in delimited text, become one timestamp."
    )
    timezone: str = Field(
        default="UTC", description="Zone of the times that name none, in columns where others do. Of a doubled hour it is the first."
    )

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            pl.Series([0]).cast(parsing.NAIVE).dt.replace_time_zone(value)
        except pl.exceptions.PolarsError as error:
            message = f"there is no time zone {value!r}; name one like 'Europe/Paris'"
            raise ValueError(message) from error
        return value
