"""Discovery: sensor faults that nobody declared are noted, each with its evidence, and put right where people confirmed them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator, model_validator

from tamis.checks.base import Check, Kind
from tamis.checks.roles import SeriesOptions
from tamis.discovery import confirm_text, corrected, corrections, read_confirmed, search, sensors
from tamis.discovery.clocks import known_zone
from tamis.series import SeriesWriter

if TYPE_CHECKING:
    from tamis.checks.base import Case, TableBatch
    from tamis.discovery import Suspicion
    from tamis.series import Roles

LIST = "confirm.toml"


class Options(SeriesOptions):
    """Options of `discovery`."""

    zone: str = Field(default="", description="The zone whose summer time wall clocks may follow; none given: those in wide use are tried.")
    _zone_is_known = field_validator("zone")(known_zone)
    confirmed: str = Field(
        default="",
        description="A confirm list of an earlier run, in which `confirmed = true` was set; what it holds is taken into `corrections` when "
        "the recipe is read.",
    )
    corrections: tuple[dict[str, Any], ...] = Field(
        default=(),
        description="What is put right as the rows are read, before any check sees them.",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_confirmed(cls, given: Any) -> Any:
        """Take the confirmed entries of the file in, so that the recipe holds all that a verdict hangs on."""
        if isinstance(given, dict) and isinstance(given.get("confirmed"), str) and given["confirmed"]:
            known = read_confirmed(given["confirmed"])
            return {**given, "corrections": [*given.get("corrections", ()), *known], "confirmed": ""}
        return given

    @field_validator("corrections")
    @classmethod
    def _sound(cls, rows: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        corrections(rows)
        return rows


class Discovery(Check[Options]):
    """Notes what is suspected, and corrects what was confirmed."""

    name = "discovery"
    order = 58
    kinds: ClassVar[frozenset[Kind]] = frozenset({"table"})
    summary = "Faults of sensors that nobody declared are noted with their evidence; what people confirm is put right."
    Options = Options

    def correct(self, batch: TableBatch) -> TableBatch:
        """Put right what was confirmed of these rows; why cells became null is told."""
        mine = [one for one in corrections(self.options.corrections) if one.table == batch.group.name]
        if not mine:
            return batch
        before = batch.frame
        batch.frame = corrected(before, mine, batch.source).cast(dict(before.schema), strict=False)  # type: ignore[arg-type]  # names to types
        nulls = Counter(dict(batch.nulls))
        for name in {one.column for one in mine if one.column}:
            nulls[name, "confirmed"] += max(0, batch.frame[name].null_count() - before[name].null_count())
        batch.nulls = nulls
        return batch

    def judge(self, case: Case) -> None:
        """Search all tables that have times; note what is suspected, and write the confirm list."""
        told: list[tuple[str, Suspicion]] = []
        roles: dict[str, Roles] = {}
        kinds: Counter[str] = Counter()
        for table, chosen in self.options.tables(case, "discovery"):
            name = table.group.name
            roles[name] = chosen
            with case.scratch() as folder, SeriesWriter(chosen, folder) as writer:
                for numbers, batch in table.batches():
                    writer.add(batch.frame, numbers, batch.source)
                series = writer.series()
                found = search(partial(sensors, series), self.options.zone)
            told += [(name, one) for one in found]
            for one in found:
                kinds[one.kind] += 1
                where = " / ".join(word for word in (one.sensor, one.column) if word)
                detail = f"{where + ': ' if where else ''}{one.says}; score {one.score:.2f}"
                case.note(np.array([one.row]), one.kind, detail)
        case.leave(LIST, confirm_text(told, roles))
        case.count(suspicions=len(told), corrections=len(self.options.corrections), **kinds)
