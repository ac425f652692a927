"""An export as a user runs it: a configuration file, secrets in the environment, real components."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from jobs.export import RunRequest, run_export
from jobs.periods import Period
from jobs.preview import preview_export
from jobs.report import RunReport
from jobs.sandbox import Sandbox
from jobs.wiring import Wiring, build_wiring, load_all_credentials
from storage.database import build_engine, connect, parse_url
from storage.runs import Outcome
from storage.snapshots import snapshot_path

NOW = datetime(2026, 6, 16, 5, 15, tzinfo=UTC)


class Silent:
    """An observer that shows nothing."""

    def planned(self, organizations: int) -> None: ...

    def settled(self, organizations: int, outcomes: Sequence[Outcome]) -> None: ...


@dataclass
class Export:
    """A configuration that asks a stand-in and stores into a database and a folder.

    Attributes:
        sandbox: Whom it asks.
        database_url: Where its tables are.
        folder: Where its configuration and its snapshots are.
        organizations: What the account lists; None for all.
        extra: More TOML, such as a section ``[export]``; ``{pipefy}`` sections are not needed.
        pipefy: More keys for the section ``[pipefy]``.
    """

    sandbox: Sandbox
    database_url: str
    folder: Path
    organizations: Sequence[str] | None = None
    extra: str = ""
    pipefy: str = "attempts = 2"
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The configuration file, written anew from the attributes."""
        path = self.folder / "config.toml"
        organizations = '"all"' if self.organizations is None else str(list(self.organizations))
        path.write_text(
            f"""
[pipefy]
graphql_url = "{self.sandbox.graphql_url}"
token_url = "{self.sandbox.token_url}"
{self.pipefy}
[[accounts]]
name = "main"
organizations = {organizations}
[database]
url = "{self.database_url}"
[snapshots]
path = "snapshots"
{self.extra}
""",
            encoding="utf-8",
        )
        return path

    @property
    def secrets(self) -> dict[str, str]:
        """The environment that holds the stand-in's secrets."""
        return {
            "PIPEFY_SERVICE_ACCOUNT_CLIENT_ID": self.sandbox.client_id,
            "PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET": self.sandbox.client_secret,
            **self.environ,
        }

    def wiring(self) -> Wiring:
        return build_wiring(self.config, self.secrets, self.folder)

    def request(
        self, now: datetime = NOW, organizations: Sequence[str] = (), periods: Sequence[Period] = ()
    ) -> RunRequest:
        settings = self.wiring().settings
        return RunRequest(settings, load_all_credentials(settings, self.secrets), now, organizations, periods)

    def run(
        self, now: datetime = NOW, organizations: Sequence[str] = (), periods: Sequence[Period] = ()
    ) -> RunReport:
        """Runs the export in this process."""
        return run_export(self.request(now, organizations, periods), self.engine, Silent())

    def preview(self, now: datetime = NOW) -> RunReport:
        """A dry run in this process."""
        return preview_export(self.request(now), self.engine, Silent())

    def command(
        self, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs ``pipefy-usage`` with the configuration in a process of its own."""
        command, *rest = arguments
        return subprocess.run(
            [sys.executable, "-m", "jobs", command, "--config", str(self.config), *rest],
            env={**os.environ, **self.secrets, **(environ or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def engine(self) -> sa.Engine:
        return build_engine(parse_url(self.database_url))

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """Rows of a table or view, all or some columns, sorted."""
        wanted: list[Any] = [sa.column(name) for name in columns] or [sa.literal_column("*")]
        selected = sa.select(*wanted).select_from(sa.table(table))
        with connect(self.engine) as connection:
            return sorted((tuple(row) for row in connection.execute(selected)), key=repr)

    def snapshot(self, table: str, now: datetime = NOW) -> pa.Table:
        """The Parquet snapshot of a table and date."""
        return pq.read_table(snapshot_path(self.folder / "snapshots", table, now.date()), partitioning=None)


Image = dict[str, list[tuple[object, ...]]]


def image_of(export: Export) -> Image:
    """Every row of every table."""
    return {table: export.rows(table) for table in sa.inspect(export.engine).get_table_names()}


def files_in(folder: Path) -> dict[str, str]:
    """The checksum of every file below a folder, but for the configuration."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "config.toml"
    }
