"""The tables: their keys, and the meaning of each column. The one source of shape.

The migrations create them, the frames' dtypes and the Parquet schemas are derived from them
(``storage.shapes``), and a test holds all three together. A column's comment is its documentation in
the database and in the Parquet file.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from storage.types import UtcDateTime, ascii_text, counter

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# MariaDB's default character set depends on the server; names need the whole of Unicode.
_ON_MARIADB: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mariadb_charset": "utf8mb4",
    "mysql_engine": "InnoDB",
}


def _organization_key() -> Column[str]:
    return Column(
        "organization_uuid", ascii_text(36), primary_key=True, comment="UUID of the Pipefy organization"
    )


def _usage(comment: str) -> Column[int]:
    return Column("usage", BigInteger, nullable=False, comment=comment)


def _usage_limit() -> Column[int]:
    return Column(
        "usage_limit",
        BigInteger,
        comment="Tasks allowed; null while Pipefy has mapped no allowance (not zero, not unlimited)",
    )


def _bookkeeping() -> tuple[Column[object], ...]:
    """Columns that the upsert keeps, not Pipefy."""
    return (
        Column("first_seen_at", UtcDateTime, nullable=False, comment="When this row was first stored (UTC)"),
        Column(
            "changed_at",
            UtcDateTime,
            nullable=False,
            comment="When its values last changed (UTC); not when last seen",
        ),
        Column(
            "run_id", ascii_text(36), nullable=False, comment="The run of the last change, see export_runs"
        ),
    )


def _not_negative(*columns: str) -> tuple[CheckConstraint, ...]:
    # As an expression, not text: MariaDB wants `usage` quoted.
    return tuple(CheckConstraint(sa.column(name) >= 0, name=f"{name}_not_negative") for name in columns)


integrations_usage_daily = Table(
    "integrations_usage_daily",
    metadata,
    _organization_key(),
    Column(
        "date", Date, primary_key=True, comment="The day of the tasks, as Pipefy labels it (taken as UTC)"
    ),
    _usage("Tasks consumed on the day"),
    _usage_limit(),
    *_bookkeeping(),
    *_not_negative("usage", "usage_limit"),
    comment="Tasks consumed, per organization and day; days that Pipefy omits are absent.",
    **_ON_MARIADB,
)

integrations_usage_monthly = Table(
    "integrations_usage_monthly",
    metadata,
    _organization_key(),
    Column("month", Date, primary_key=True, comment="First day of the month of the tasks"),
    _usage("Tasks consumed in the month"),
    _usage_limit(),
    *_bookkeeping(),
    *_not_negative("usage", "usage_limit"),
    comment="Tasks consumed, per organization and month; never add them to the daily ones.",
    **_ON_MARIADB,
)

integrations_usage_period = Table(
    "integrations_usage_period",
    metadata,
    _organization_key(),
    Column(
        "period",
        ascii_text(16),
        primary_key=True,
        comment="current_month, last_month or last_3_months, as asked",
    ),
    Column("period_from", Date, primary_key=True, comment="First day that the answer covers (UTC)"),
    Column(
        "period_to",
        Date,
        nullable=False,
        comment="Last day that the answer covers (UTC), which may lie ahead",
    ),
    _usage("Tasks consumed in the period, Pipefy's own total"),
    _usage_limit(),
    Column("active_flows", BigInteger, nullable=False, comment="Distinct flows that ran in the period"),
    Column(
        "history_usage",
        BigInteger,
        nullable=False,
        comment="Sum of the buckets in the same answer; may differ from Pipefy's total",
    ),
    *_bookkeeping(),
    *_not_negative("usage", "usage_limit", "active_flows", "history_usage"),
    comment="Totals of a period, as each answer stated them.",
    **_ON_MARIADB,
)

usage_restatements = Table(
    "usage_restatements",
    metadata,
    Column("id", counter(), primary_key=True, autoincrement=True, comment="Counts up"),
    Column("table_name", ascii_text(64), nullable=False, comment="The table whose row was restated"),
    Column("organization_uuid", ascii_text(36), nullable=False, comment="UUID of the Pipefy organization"),
    Column("bucket", Date, nullable=False, comment="The day, the first of the month, or period_from"),
    Column("period", ascii_text(16), comment="Which period, for integrations_usage_period; null elsewhere"),
    Column(
        "old_usage", BigInteger, nullable=False, comment="Usage as it was known after the bucket had closed"
    ),
    Column("new_usage", BigInteger, nullable=False, comment="Usage as Pipefy states it now"),
    Column("old_usage_limit", BigInteger, comment="Limit as it was stored"),
    Column("new_usage_limit", BigInteger, comment="Limit as Pipefy states it now"),
    Column("restated_at", UtcDateTime, nullable=False, comment="When the difference was seen (UTC)"),
    Column("run_id", ascii_text(36), nullable=False, comment="The run that saw it, see export_runs"),
    Index(None, "organization_uuid", "bucket"),
    comment="Values that Pipefy changed although their day, month or period was already over.",
    **_ON_MARIADB,
)

organizations = Table(
    "organizations",
    metadata,
    Column("uuid", ascii_text(36), primary_key=True, comment="UUID of the Pipefy organization"),
    Column("id", ascii_text(32), comment="Its number in the app's address, where known"),
    Column("name", Text, comment="Its name, where Pipefy told it"),
    Column("account", String(100), nullable=False, comment="The account of the configuration that reads it"),
    Column("first_seen_at", UtcDateTime, nullable=False, comment="When it was first asked for (UTC)"),
    Column(
        "last_seen_at",
        UtcDateTime,
        nullable=False,
        comment="First run of the last day it was asked for (UTC)",
    ),
    Index(None, "id"),
    comment="The organizations that are exported, with the names that Pipefy gives them.",
    **_ON_MARIADB,
)

export_runs = Table(
    "export_runs",
    metadata,
    Column("run_id", ascii_text(36), primary_key=True, comment="UUID of the run"),
    Column("trigger", ascii_text(16), nullable=False, comment="schedule, catch-up or manual"),
    Column("schedule", String(100), comment="The schedule that asked for it; null for a manual run"),
    Column("scheduled_for", UtcDateTime, comment="The instant it was due (UTC); null for a manual run"),
    Column("attempts", Integer, nullable=False, comment="How often it was started, until all succeeded"),
    Column("started_at", UtcDateTime, nullable=False, comment="Start of the last attempt (UTC)"),
    Column("finished_at", UtcDateTime, comment="UTC; null while it runs"),
    Column(
        "status", ascii_text(16), nullable=False, comment="running, succeeded, partial, failed or interrupted"
    ),
    Column("organizations", Integer, nullable=False, comment="Organizations that it asked for"),
    Column(
        "organizations_failed", Integer, nullable=False, comment="Organizations with at least one failure"
    ),
    Column("rows_inserted", BigInteger, nullable=False, comment="Usage rows new in the database"),
    Column("rows_changed", BigInteger, nullable=False, comment="Usage rows whose values changed"),
    Column("rows_restated", BigInteger, nullable=False, comment="Rows added to usage_restatements"),
    Column("requests", Integer, nullable=False, comment="GraphQL requests sent"),
    Column("requests_billed", Integer, nullable=False, comment="Those that Pipefy counts against the plan"),
    Column("message", Text, comment="Why it failed, where it did"),
    Column("version", ascii_text(32), nullable=False, comment="Version of pipefy-usage-export"),
    UniqueConstraint("schedule", "scheduled_for"),
    Index(None, "started_at"),
    comment="One row for each execution of the export.",
    **_ON_MARIADB,
)

export_outcomes = Table(
    "export_outcomes",
    metadata,
    Column("run_id", ascii_text(36), primary_key=True, comment="The run, see export_runs"),
    Column(
        "organization",
        ascii_text(64),
        primary_key=True,
        comment="UUID, or the configured number if none is known",
    ),
    Column("period", ascii_text(16), primary_key=True, comment="current_month, last_month or last_3_months"),
    Column("status", ascii_text(16), nullable=False, comment="stored or failed"),
    Column("rows_seen", Integer, nullable=False, comment="Usage rows in the answer"),
    Column("rows_inserted", Integer, nullable=False, comment="Those new in the database"),
    Column("rows_changed", Integer, nullable=False, comment="Those whose values changed"),
    Column("error_code", ascii_text(64), comment="Pipefy's code, or ours, of the failure"),
    Column("error_message", Text, comment="What failed and what mends it"),
    Column("correlation_id", String(100), comment="What Pipefy's support asks for"),
    Column("duration_seconds", Double, nullable=False, comment="From asking to answer, retries included"),
    Column("finished_at", UtcDateTime, nullable=False, comment="When the outcome was recorded (UTC)"),
    Index(None, "organization", "period", "finished_at"),
    comment="What each run did for each organization and period: how fresh the data is stands here.",
    **_ON_MARIADB,
)


notices = Table(
    "notices",
    metadata,
    Column("key", ascii_text(128), primary_key=True, comment="What was told, such as usage:UUID:MONTH:SHARE"),
    Column("sent_at", UtcDateTime, nullable=False, comment="When it was told (UTC)"),
    comment="Messages that were sent to people, each once.",
    **_ON_MARIADB,
)


@dataclass(frozen=True)
class UsageTable:
    """A table of usage, split into what identifies a row, what Pipefy says of it, and what we keep beside.

    Attributes:
        table: The SQL table.
        bucket: The key column that names the day, month or period start.
        periods: The periods whose answers fill it.
        measures: Columns taken from the answer; a difference in any of them is a change.
    """

    table: Table
    bucket: str
    periods: tuple[str, ...]
    measures: tuple[str, ...] = field(default=("usage", "usage_limit"))

    @property
    def name(self) -> str:
        """The table's name in SQL, and its folder among the snapshots."""
        return self.table.name

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Names of the primary-key columns, in order."""
        return tuple(column.name for column in self.table.primary_key.columns)

    @property
    def has_period(self) -> bool:
        """Whether the period is part of the key."""
        return "period" in self.key


DAILY = UsageTable(integrations_usage_daily, bucket="date", periods=("current_month", "last_month"))
MONTHLY = UsageTable(integrations_usage_monthly, bucket="month", periods=("last_3_months",))
PERIOD = UsageTable(
    integrations_usage_period,
    bucket="period_from",
    periods=("current_month", "last_month", "last_3_months"),
    measures=("period_to", "usage", "usage_limit", "active_flows", "history_usage"),
)
USAGE_TABLES = (DAILY, MONTHLY, PERIOD)
