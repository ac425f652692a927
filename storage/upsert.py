"""A frame into a table by key: stage the batch, record restatements, change only what differs.

Each step is one statement over the whole batch and the same on every database. They run in the caller's
transaction, under the run lock, so nobody else writes between them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd
import sqlalchemy as sa

from storage.staging import staged
from storage.tables import UsageTable, export_outcomes, usage_restatements


@dataclass(frozen=True)
class RowCounts:
    """Rows of one answer: all it had, those new to the table, and those with another value than stored."""

    seen: int = 0
    inserted: int = 0
    changed: int = 0

    def __add__(self, other: "RowCounts") -> "RowCounts":
        return RowCounts(self.seen + other.seen, self.inserted + other.inserted, self.changed + other.changed)


# Per (organization UUID, period).
CountsByAnswer = Mapping[tuple[str, str], RowCounts]


@dataclass(frozen=True)
class Upserted:
    """What an upsert did: rows by answer, and how many restatements it recorded."""

    counts: CountsByAnswer
    restated: int


@dataclass(frozen=True)
class Change:
    """A stored row that a batch would change; usage stays the same where only another column differs."""

    table: str
    organization_uuid: str
    bucket: date
    old_usage: int
    new_usage: int
    old_usage_limit: int | None
    new_usage_limit: int | None
    period: str | None = None


@dataclass(frozen=True)
class Difference:
    """How a batch differs from what is stored: rows by answer, and each value that would change."""

    counts: CountsByAnswer
    changes: tuple[Change, ...]


def upsert_frame(
    connection: sa.Connection, usage_table: UsageTable, frame: pd.DataFrame, *, run_id: str, at: datetime
) -> Upserted:
    """Brings the table to what the frame says, writing only rows that differ from it.

    A value that replaces another one goes to ``usage_restatements`` too, if that one was stored, or seen
    again by a later run, after its bucket had closed.
    Rows of the table that the frame lacks stay as they are.

    Args:
        connection: In a transaction, which the caller commits.
        usage_table: Where the rows belong.
        frame: Shaped as ``frame_schema(usage_table)``.
        run_id: Recorded in each row that is written.
        at: The run's instant, recorded as ``first_seen_at``, ``changed_at`` and ``restated_at``.

    Raises:
        InvalidFrameError: The frame breaks its contract; nothing was written.
    """
    with staged(connection, usage_table, frame) as stage:
        counts = _count(connection, usage_table, stage)
        total = sum(counts.values(), RowCounts())
        restated = 0
        if total.changed:
            restated = _record_restatements(connection, usage_table, stage, run_id=run_id, at=at)
            _update(connection, usage_table, stage, run_id=run_id, at=at)
        if total.inserted:
            _insert(connection, usage_table, stage, run_id=run_id, at=at)
    return Upserted(counts, restated)


def compare_frame(connection: sa.Connection, usage_table: UsageTable, frame: pd.DataFrame) -> Difference:
    """What :func:`upsert_frame` would do, without doing it.

    Raises:
        InvalidFrameError: The frame breaks its contract.
    """
    with staged(connection, usage_table, frame) as stage:
        return Difference(
            counts=_count(connection, usage_table, stage),
            changes=_read_changes(connection, usage_table, stage),
        )


def _same_key(usage_table: UsageTable, stage: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(*(usage_table.table.c[name] == stage.c[name] for name in usage_table.key))


def _differs(usage_table: UsageTable, stage: sa.Table, *names: str) -> sa.ColumnElement[bool]:
    """Whether any of the named columns differs, null being equal to null."""
    return sa.or_(*(usage_table.table.c[name].is_distinct_from(stage.c[name]) for name in names))


def _count(connection: sa.Connection, usage_table: UsageTable, stage: sa.Table) -> CountsByAnswer:
    is_new = usage_table.table.c[usage_table.bucket].is_(None)
    is_changed = sa.and_(~is_new, _differs(usage_table, stage, *usage_table.measures))
    counted = connection.execute(
        sa.select(
            stage.c.organization_uuid,
            stage.c.period,
            sa.func.count(),
            sa.func.count(sa.case((is_new, 1))),
            sa.func.count(sa.case((is_changed, 1))),
        )
        .select_from(stage.outerjoin(usage_table.table, _same_key(usage_table, stage)))
        .group_by(stage.c.organization_uuid, stage.c.period)
    )
    return {
        (organization_uuid, period): RowCounts(seen, inserted, changed)
        for organization_uuid, period, seen, inserted, changed in counted
    }


def _read_changes(connection: sa.Connection, usage_table: UsageTable, stage: sa.Table) -> tuple[Change, ...]:
    table = usage_table.table
    rows = connection.execute(
        sa.select(
            stage.c.organization_uuid,
            stage.c[usage_table.bucket],
            table.c.usage,
            stage.c.usage,
            table.c.usage_limit,
            stage.c.usage_limit,
            stage.c.period,
        )
        .join(table, _same_key(usage_table, stage))
        .where(_differs(usage_table, stage, *usage_table.measures))
        .order_by(stage.c.organization_uuid, stage.c[usage_table.bucket])
    )
    return tuple(Change(usage_table.name, *row) for row in rows)


def _record_restatements(
    connection: sa.Connection, usage_table: UsageTable, stage: sa.Table, *, run_id: str, at: datetime
) -> int:
    table = usage_table.table
    columns = {
        "table_name": sa.literal(usage_table.name),
        "organization_uuid": stage.c.organization_uuid,
        "bucket": stage.c[usage_table.bucket],
        "period": stage.c.period if usage_table.has_period else sa.null(),
        "old_usage": table.c.usage,
        "new_usage": stage.c.usage,
        "old_usage_limit": table.c.usage_limit,
        "new_usage_limit": stage.c.usage_limit,
        "restated_at": sa.literal(at, usage_restatements.c.restated_at.type),
        "run_id": sa.literal(run_id),
    }
    restated = (
        sa.select(*columns.values())
        .select_from(stage.join(table, _same_key(usage_table, stage)))
        .where(
            _differs(usage_table, stage, "usage", "usage_limit"),
            sa.or_(
                table.c.changed_at >= stage.c.closes_at,
                _last_confirmed(stage, run_id) >= stage.c.closes_at,
            ),
        )
    )
    recorded = usage_restatements.insert().from_select(list(columns), restated)
    # Unless it is asked for, SQLAlchemy forgets how many rows an INSERT wrote: PostgreSQL would say -1.
    return connection.execute(recorded, execution_options={"preserve_rowcount": True}).rowcount


def _last_confirmed(stage: sa.Table, run_id: str) -> sa.ScalarSelect[datetime]:
    """When another run last stored an answer for the same organization and period.

    It has seen the value that is stored now, even if it had nothing to write.
    """
    outcomes = export_outcomes.c
    return (
        sa.select(sa.func.max(outcomes.finished_at))
        .where(
            outcomes.organization == stage.c.organization_uuid,
            outcomes.period == stage.c.period,
            outcomes.status == "stored",
            outcomes.run_id != run_id,
        )
        .correlate(stage)
        .scalar_subquery()
    )


def _update(
    connection: sa.Connection, usage_table: UsageTable, stage: sa.Table, *, run_id: str, at: datetime
) -> None:
    connection.execute(
        usage_table.table.update()
        .values({name: stage.c[name] for name in usage_table.measures})
        .values(changed_at=at, run_id=run_id)
        .where(_same_key(usage_table, stage), _differs(usage_table, stage, *usage_table.measures))
    )


def _insert(
    connection: sa.Connection, usage_table: UsageTable, stage: sa.Table, *, run_id: str, at: datetime
) -> None:
    table = usage_table.table
    names = [*usage_table.key, *usage_table.measures]
    instant = sa.literal(at, table.c.changed_at.type)
    missing = (
        sa.select(*(stage.c[name] for name in names), instant, instant, sa.literal(run_id))
        .select_from(stage.outerjoin(table, _same_key(usage_table, stage)))
        .where(table.c[usage_table.bucket].is_(None))
    )
    connection.execute(table.insert().from_select([*names, "first_seen_at", "changed_at", "run_id"], missing))
