"""The first schema: usage, restatements, organizations, runs and outcomes, and views that join names.

Every statement may be run twice: MariaDB commits each by itself, so a migration that was cut off goes on
where it stopped.
"""

import sqlalchemy as sa
from alembic import op

from storage.types import UtcDateTime, ascii_text, counter

revision = "0001"
down_revision = None

_ON_MARIADB = {"mysql_charset": "utf8mb4", "mariadb_charset": "utf8mb4", "mysql_engine": "InnoDB"}

# The tables of usage with the organizations' names, for people: the name of the view, its table and columns.
_VIEWS = {
    "usage_daily": ("integrations_usage_daily", "u.date, u.usage, u.usage_limit"),
    "usage_monthly": ("integrations_usage_monthly", "u.month, u.usage, u.usage_limit"),
    "usage_period": (
        "integrations_usage_period",
        "u.period, u.period_from, u.period_to, u.usage, u.usage_limit, u.active_flows, u.history_usage",
    ),
}


def upgrade() -> None:
    """Creates all tables and views."""
    _create_tables()
    create = (
        "CREATE VIEW IF NOT EXISTS" if op.get_bind().dialect.name == "sqlite" else "CREATE OR REPLACE VIEW"
    )
    for view, (table, columns) in _VIEWS.items():
        op.execute(
            f"{create} {view} AS "
            f"SELECT u.organization_uuid, o.name AS organization_name, o.account, {columns}, "
            "u.first_seen_at, u.changed_at "
            f"FROM {table} u LEFT JOIN organizations o ON o.uuid = u.organization_uuid"
        )


def _create_tables() -> None:
    op.create_table(
        "export_outcomes",
        sa.Column("run_id", ascii_text(36), nullable=False, comment="The run, see export_runs"),
        sa.Column(
            "organization",
            ascii_text(64),
            nullable=False,
            comment="UUID, or the configured number if none is known",
        ),
        sa.Column(
            "period", ascii_text(16), nullable=False, comment="current_month, last_month or last_3_months"
        ),
        sa.Column("status", ascii_text(16), nullable=False, comment="stored or failed"),
        sa.Column("rows_seen", sa.Integer(), nullable=False, comment="Usage rows in the answer"),
        sa.Column("rows_inserted", sa.Integer(), nullable=False, comment="Those new in the database"),
        sa.Column("rows_changed", sa.Integer(), nullable=False, comment="Those whose values changed"),
        sa.Column(
            "error_code", ascii_text(64), nullable=True, comment="Pipefy's code, or ours, of the failure"
        ),
        sa.Column("error_message", sa.Text(), nullable=True, comment="What failed and what mends it"),
        sa.Column(
            "correlation_id", sa.String(length=100), nullable=True, comment="What Pipefy's support asks for"
        ),
        sa.Column(
            "duration_seconds",
            sa.Double(),
            nullable=False,
            comment="From asking to answer, retries included",
        ),
        sa.Column(
            "finished_at", UtcDateTime(), nullable=False, comment="When the outcome was recorded (UTC)"
        ),
        sa.PrimaryKeyConstraint("run_id", "organization", "period", name="pk_export_outcomes"),
        comment="What each run did for each organization and period: how fresh the data is stands here.",
        if_not_exists=True,
        **_ON_MARIADB,
    )

    _create_index(
        "ix_export_outcomes_organization_period_finished_at",
        "export_outcomes",
        ["organization", "period", "finished_at"],
    )
    op.create_table(
        "export_runs",
        sa.Column("run_id", ascii_text(36), nullable=False, comment="UUID of the run"),
        sa.Column("trigger", ascii_text(16), nullable=False, comment="schedule, catch-up or manual"),
        sa.Column(
            "schedule",
            sa.String(length=100),
            nullable=True,
            comment="The schedule that asked for it; null for a manual run",
        ),
        sa.Column(
            "scheduled_for",
            UtcDateTime(),
            nullable=True,
            comment="The instant it was due (UTC); null for a manual run",
        ),
        sa.Column(
            "attempts",
            sa.Integer(),
            nullable=False,
            comment="How often it was started, until all succeeded",
        ),
        sa.Column("started_at", UtcDateTime(), nullable=False, comment="Start of the last attempt (UTC)"),
        sa.Column("finished_at", UtcDateTime(), nullable=True, comment="UTC; null while it runs"),
        sa.Column(
            "status",
            ascii_text(16),
            nullable=False,
            comment="running, succeeded, partial, failed or interrupted",
        ),
        sa.Column("organizations", sa.Integer(), nullable=False, comment="Organizations that it asked for"),
        sa.Column(
            "organizations_failed",
            sa.Integer(),
            nullable=False,
            comment="Organizations with at least one failure",
        ),
        sa.Column("rows_inserted", sa.BigInteger(), nullable=False, comment="Usage rows new in the database"),
        sa.Column("rows_changed", sa.BigInteger(), nullable=False, comment="Usage rows whose values changed"),
        sa.Column(
            "rows_restated", sa.BigInteger(), nullable=False, comment="Rows added to usage_restatements"
        ),
        sa.Column("requests", sa.Integer(), nullable=False, comment="GraphQL requests sent"),
        sa.Column(
            "requests_billed",
            sa.Integer(),
            nullable=False,
            comment="Those that Pipefy counts against the plan",
        ),
        sa.Column("message", sa.Text(), nullable=True, comment="Why it failed, where it did"),
        sa.Column("version", ascii_text(32), nullable=False, comment="Version of pipefy-usage-export"),
        sa.PrimaryKeyConstraint("run_id", name="pk_export_runs"),
        sa.UniqueConstraint("schedule", "scheduled_for", name="uq_export_runs_schedule_scheduled_for"),
        comment="One row for each execution of the export.",
        if_not_exists=True,
        **_ON_MARIADB,
    )

    _create_index("ix_export_runs_started_at", "export_runs", ["started_at"])
    op.create_table(
        "notices",
        sa.Column(
            "key",
            ascii_text(128),
            nullable=False,
            comment="What was told, such as usage:UUID:MONTH:SHARE",
        ),
        sa.Column("sent_at", UtcDateTime(), nullable=False, comment="When it was told (UTC)"),
        sa.PrimaryKeyConstraint("key", name="pk_notices"),
        comment="Messages that were sent to people, each once.",
        if_not_exists=True,
        **_ON_MARIADB,
    )
    op.create_table(
        "integrations_usage_daily",
        sa.Column(
            "organization_uuid", ascii_text(36), nullable=False, comment="UUID of the Pipefy organization"
        ),
        sa.Column(
            "date",
            sa.Date(),
            nullable=False,
            comment="The day of the tasks, as Pipefy labels it (taken as UTC)",
        ),
        sa.Column("usage", sa.BigInteger(), nullable=False, comment="Tasks consumed on the day"),
        sa.Column(
            "usage_limit",
            sa.BigInteger(),
            nullable=True,
            comment="Tasks allowed; null while Pipefy has mapped no allowance (not zero, not unlimited)",
        ),
        sa.Column(
            "first_seen_at", UtcDateTime(), nullable=False, comment="When this row was first stored (UTC)"
        ),
        sa.Column(
            "changed_at",
            UtcDateTime(),
            nullable=False,
            comment="When its values last changed (UTC); not when last seen",
        ),
        sa.Column(
            "run_id", ascii_text(36), nullable=False, comment="The run of the last change, see export_runs"
        ),
        sa.CheckConstraint(
            sa.column("usage") >= 0, name=op.f("ck_integrations_usage_daily_usage_not_negative")
        ),
        sa.CheckConstraint(
            sa.column("usage_limit") >= 0, name=op.f("ck_integrations_usage_daily_usage_limit_not_negative")
        ),
        sa.PrimaryKeyConstraint("organization_uuid", "date", name="pk_integrations_usage_daily"),
        comment="Tasks consumed, per organization and day; days that Pipefy omits are absent.",
        if_not_exists=True,
        **_ON_MARIADB,
    )

    op.create_table(
        "integrations_usage_monthly",
        sa.Column(
            "organization_uuid", ascii_text(36), nullable=False, comment="UUID of the Pipefy organization"
        ),
        sa.Column("month", sa.Date(), nullable=False, comment="First day of the month of the tasks"),
        sa.Column("usage", sa.BigInteger(), nullable=False, comment="Tasks consumed in the month"),
        sa.Column(
            "usage_limit",
            sa.BigInteger(),
            nullable=True,
            comment="Tasks allowed; null while Pipefy has mapped no allowance (not zero, not unlimited)",
        ),
        sa.Column(
            "first_seen_at", UtcDateTime(), nullable=False, comment="When this row was first stored (UTC)"
        ),
        sa.Column(
            "changed_at",
            UtcDateTime(),
            nullable=False,
            comment="When its values last changed (UTC); not when last seen",
        ),
        sa.Column(
            "run_id", ascii_text(36), nullable=False, comment="The run of the last change, see export_runs"
        ),
        sa.CheckConstraint(
            sa.column("usage") >= 0, name=op.f("ck_integrations_usage_monthly_usage_not_negative")
        ),
        sa.CheckConstraint(
            sa.column("usage_limit") >= 0, name=op.f("ck_integrations_usage_monthly_usage_limit_not_negative")
        ),
        sa.PrimaryKeyConstraint("organization_uuid", "month", name="pk_integrations_usage_monthly"),
        comment="Tasks consumed, per organization and month; never add them to the daily ones.",
        if_not_exists=True,
        **_ON_MARIADB,
    )

    op.create_table(
        "integrations_usage_period",
        sa.Column(
            "organization_uuid", ascii_text(36), nullable=False, comment="UUID of the Pipefy organization"
        ),
        sa.Column(
            "period",
            ascii_text(16),
            nullable=False,
            comment="current_month, last_month or last_3_months, as asked",
        ),
        sa.Column("period_from", sa.Date(), nullable=False, comment="First day that the answer covers (UTC)"),
        sa.Column(
            "period_to",
            sa.Date(),
            nullable=False,
            comment="Last day that the answer covers (UTC), which may lie ahead",
        ),
        sa.Column(
            "usage",
            sa.BigInteger(),
            nullable=False,
            comment="Tasks consumed in the period, Pipefy's own total",
        ),
        sa.Column(
            "usage_limit",
            sa.BigInteger(),
            nullable=True,
            comment="Tasks allowed; null while Pipefy has mapped no allowance (not zero, not unlimited)",
        ),
        sa.Column(
            "active_flows", sa.BigInteger(), nullable=False, comment="Distinct flows that ran in the period"
        ),
        sa.Column(
            "history_usage",
            sa.BigInteger(),
            nullable=False,
            comment="Sum of the buckets in the same answer; may differ from Pipefy's total",
        ),
        sa.Column(
            "first_seen_at", UtcDateTime(), nullable=False, comment="When this row was first stored (UTC)"
        ),
        sa.Column(
            "changed_at",
            UtcDateTime(),
            nullable=False,
            comment="When its values last changed (UTC); not when last seen",
        ),
        sa.Column(
            "run_id", ascii_text(36), nullable=False, comment="The run of the last change, see export_runs"
        ),
        sa.CheckConstraint(
            sa.column("active_flows") >= 0,
            name=op.f("ck_integrations_usage_period_active_flows_not_negative"),
        ),
        sa.CheckConstraint(
            sa.column("history_usage") >= 0,
            name=op.f("ck_integrations_usage_period_history_usage_not_negative"),
        ),
        sa.CheckConstraint(
            sa.column("usage") >= 0, name=op.f("ck_integrations_usage_period_usage_not_negative")
        ),
        sa.CheckConstraint(
            sa.column("usage_limit") >= 0, name=op.f("ck_integrations_usage_period_usage_limit_not_negative")
        ),
        sa.PrimaryKeyConstraint(
            "organization_uuid", "period", "period_from", name="pk_integrations_usage_period"
        ),
        comment="Totals of a period, as each answer stated them.",
        if_not_exists=True,
        **_ON_MARIADB,
    )

    op.create_table(
        "organizations",
        sa.Column("uuid", ascii_text(36), nullable=False, comment="UUID of the Pipefy organization"),
        sa.Column(
            "id", ascii_text(32), nullable=True, comment="Its number in the app's address, where known"
        ),
        sa.Column("name", sa.Text(), nullable=True, comment="Its name, where Pipefy told it"),
        sa.Column(
            "account",
            sa.String(length=100),
            nullable=False,
            comment="The account of the configuration that reads it",
        ),
        sa.Column(
            "first_seen_at", UtcDateTime(), nullable=False, comment="When it was first asked for (UTC)"
        ),
        sa.Column(
            "last_seen_at",
            UtcDateTime(),
            nullable=False,
            comment="First run of the last day it was asked for (UTC)",
        ),
        sa.PrimaryKeyConstraint("uuid", name="pk_organizations"),
        comment="The organizations that are exported, with the names that Pipefy gives them.",
        if_not_exists=True,
        **_ON_MARIADB,
    )

    _create_index("ix_organizations_id", "organizations", ["id"])
    op.create_table(
        "usage_restatements",
        sa.Column("id", counter(), autoincrement=True, nullable=False, comment="Counts up"),
        sa.Column("table_name", ascii_text(64), nullable=False, comment="The table whose row was restated"),
        sa.Column(
            "organization_uuid", ascii_text(36), nullable=False, comment="UUID of the Pipefy organization"
        ),
        sa.Column(
            "bucket", sa.Date(), nullable=False, comment="The day, the first of the month, or period_from"
        ),
        sa.Column(
            "period",
            ascii_text(16),
            nullable=True,
            comment="Which period, for integrations_usage_period; null elsewhere",
        ),
        sa.Column(
            "old_usage",
            sa.BigInteger(),
            nullable=False,
            comment="Usage as it was known after the bucket had closed",
        ),
        sa.Column("new_usage", sa.BigInteger(), nullable=False, comment="Usage as Pipefy states it now"),
        sa.Column("old_usage_limit", sa.BigInteger(), nullable=True, comment="Limit as it was stored"),
        sa.Column("new_usage_limit", sa.BigInteger(), nullable=True, comment="Limit as Pipefy states it now"),
        sa.Column("restated_at", UtcDateTime(), nullable=False, comment="When the difference was seen (UTC)"),
        sa.Column("run_id", ascii_text(36), nullable=False, comment="The run that saw it, see export_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_usage_restatements"),
        comment="Values that Pipefy changed although their day, month or period was already over.",
        if_not_exists=True,
        **_ON_MARIADB,
    )

    _create_index(
        "ix_usage_restatements_organization_uuid_bucket",
        "usage_restatements",
        ["organization_uuid", "bucket"],
    )


def _create_index(name: str, table: str, columns: list[str]) -> None:
    # MySQL, unlike the other databases, has no CREATE INDEX IF NOT EXISTS.
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)
