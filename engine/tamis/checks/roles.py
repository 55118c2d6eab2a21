"""What checks of series have in common: which columns of a table are the time, the sensor's name and the readings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from tamis.checks.base import CheckOptions
from tamis.checks.named import ColumnNames, NumberColumns
from tamis.series import Roles, assign_roles, tally

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tamis.checks.base import Case, Rows
    from tamis.series.roles import Tally


class SeriesOptions(CheckOptions):
    """Options of a check that looks at the readings of each sensor by time."""

    enabled: bool = Field(default=False, description="Whether the check runs.")
    time: ColumnNames = Field(default=(), max_length=1, description="The column of times; none given: told by types and names.")
    sensor: ColumnNames = Field(
        default=(),
        description="Columns that name the sensor; none given: told by names and numbers of values; else each file is one.",
    )
    by_sensor: bool = Field(default=True, description="Whether rows are split by sensor; false: all rows of a kind of table are of one.")
    columns: NumberColumns = Field(default=(), description="Columns of readings; none given: those of floats.")

    @model_validator(mode="after")
    def _not_forgotten(self) -> Self:
        """Refuse keys of a check that is off because nobody said whether it runs: they would do nothing."""
        if "enabled" not in self.model_fields_set:
            said = [key for key in type(self).model_fields if key in self.model_fields_set]
            self.refuse_idle(said, "the check is off by default: set its key enabled to true, or to false to leave it off")
        return self

    def tables(self, case: Case, check: str) -> Iterator[tuple[Rows, Roles]]:
        """Yield the tables that have times and readings, with their columns; the manifest tells these, or what a table lacks."""
        for table in case.tables():
            roles = self._roles(case, table)
            if roles is None:
                case.decide(table.group, f"{check}: passed over, there is no column of times, or none of numbers beside it")
                continue
            case.decide(table.group, f"{check}: {roles}")
            yield table, roles

    def _roles(self, case: Case, table: Rows) -> Roles | None:
        schema = {column.name: column.dtype for column in table.group.columns}
        if not {*self.time, *self.sensor, *self.columns} <= schema.keys():
            return None
        return assign_roles(
            schema,
            lambda columns: case.spread(_tally, [(part, columns) for part in table.parts()]),
            time=next(iter(self.time), None),
            sensor=self.sensor or (None if self.by_sensor else ()),
            values=self.columns or None,
        )


def _tally(argument: tuple[Rows, Collection[str]]) -> Tally:
    part, columns = argument
    return tally((batch.frame for _, batch in part.batches(columns)), columns)
