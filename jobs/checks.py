"""Whether a run would work: each thing it needs, tried for real, and what mends it."""

import asyncio
import enum
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from jobs.credentials import Credentials
from jobs.errors import OrganizationError
from jobs.fetch import FetchSettings, fetch_batches, fetch_targets, open_clients
from jobs.periods import Period
from jobs.pipefy.endpoint import Patience, Traffic
from jobs.plan import AccountTargets, plan_accounts
from jobs.report import CREDENTIALS_CODE
from jobs.schedule import Schedule
from jobs.settings import Settings
from storage.database import connect, masked, sqlite_path
from storage.errors import StorageError
from storage.organizations import Organization, read_organizations
from storage.runs import RunRecord, start_run
from storage.schema import HEAD_REVISION, open_stored, read_revision

# Beyond the first, times in tables and logs mislead; beyond the second, days are stored as closed too early.
# A person is waiting.
_LONGEST_SECONDS = 300.0
_SKEW_TO_WARN_SECONDS = 60.0
_SKEW_TO_FAIL_SECONDS = 3600.0


class CheckState(enum.StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One thing that a run needs.

    Attributes:
        name: The thing.
        state: How it came out.
        detail: What was found and, unless it is fine, what mends it.
    """

    name: str
    state: CheckState
    detail: str


def check_all(
    settings: Settings, credentials: Mapping[str, Credentials], engine: sa.Engine, *, now: datetime
) -> Iterator[Check]:
    """Tries everything that a run needs, one after the other; changes nothing that lasts.

    It asks Pipefy for this month of every organization, in as few requests as a run; these are billed.
    """
    yield check_database(engine, auto_migrate=settings.database.auto_migrate, now=now)
    yield check_snapshots(settings.snapshots.path)
    yield check_schedule(settings, now)
    yield from asyncio.run(_check_pipefy(settings, credentials, _read_known(engine)))


def check_database(engine: sa.Engine, *, auto_migrate: bool, now: datetime) -> Check:
    """Opens the database and writes a row that is taken back; looks at the tables' revision."""
    address = masked(engine.url)
    path = sqlite_path(engine.url)
    if path is not None and not os.access(path, os.F_OK):
        if not os.access(path.parent, os.W_OK | os.X_OK):
            return _failed_database(f"{path} cannot be made; make its folder, or change that folder's rights")
        return _unmigrated(f"{address} does not exist yet", auto_migrate=auto_migrate)
    try:
        revision = read_revision(engine)
        if revision is None:
            return _unmigrated(f"{address} has no tables yet", auto_migrate=auto_migrate)
        if revision != HEAD_REVISION:
            state = f"{address} is at revision {revision}, not {HEAD_REVISION}"
            return _unmigrated(state, auto_migrate=auto_migrate)
        _try_writing(engine, now)
    except StorageError as exc:
        return _failed_database(str(exc))
    detail = f"{address} can be written, its tables are up to date (revision {revision})"
    return Check("database", CheckState.OK, detail)


def _unmigrated(state: str, *, auto_migrate: bool) -> Check:
    if auto_migrate:
        return Check("database", CheckState.OK, f"{state}; the first run will make its tables")
    return _failed_database(f"{state}; run: pipefy-usage migrate")


def _failed_database(detail: str) -> Check:
    return Check("database", CheckState.FAILED, detail)


def _try_writing(engine: sa.Engine, now: datetime) -> None:
    with connect(engine) as connection:
        probe = RunRecord(run_id=str(uuid.uuid4()), started_at=now, version="check")
        start_run(connection, probe)
        connection.execute(sa.schema.CreateTable(_PROBE))
        connection.rollback()


# A run stages its batches in temporary tables, which takes a right of its own on MariaDB and PostgreSQL.
_PROBE = sa.Table("pipefy_usage_probe", sa.MetaData(), sa.Column("id", sa.Integer), prefixes=["TEMPORARY"])


def check_snapshots(folder: Path) -> Check:
    """Writes, renames and removes a file where the snapshots go."""
    name = "snapshots"
    probe = folder / f".check-{uuid.uuid4()}"
    made = [each for each in (folder, *folder.parents) if not os.access(each, os.F_OK)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.rename(probe.with_suffix(".renamed")).unlink()
    except OSError as exc:
        mend = "name another folder under [snapshots], or change its rights"
        return Check(name, CheckState.FAILED, f"{folder} cannot be written: {exc.strerror}; {mend}")
    finally:
        with suppress(OSError):  # a run that has begun meanwhile may have put something there
            for each in made:
                each.rmdir()
    return Check(name, CheckState.OK, f"{folder} can be written")


def check_schedule(settings: Settings, now: datetime) -> Check:
    """Says when the schedule is due next."""
    schedule = Schedule(settings.schedule.cron, settings.schedule.timezone)
    line = f"{schedule.line!r} ({schedule.timezone})"
    due = schedule.next_after(now)
    if due is None:
        return Check("schedule", CheckState.FAILED, f"{line} is never due; mend cron under [schedule]")
    return Check("schedule", CheckState.OK, f"{line} is due next at {due:%Y-%m-%d %H:%M} UTC")


def _read_known(engine: sa.Engine) -> list[Organization]:
    """Organizations of earlier runs; none if the database cannot tell, which another check says."""
    try:
        with open_stored(engine) as connection:
            return [] if connection is None else read_organizations(connection)
    except StorageError:
        return []


async def _check_pipefy(
    settings: Settings, credentials: Mapping[str, Credentials], known: Sequence[Organization]
) -> list[Check]:
    traffic = Traffic()
    patience = Patience(
        attempts=1,
        answer_seconds=settings.pipefy.answer_seconds,
        deadline=time.monotonic() + _LONGEST_SECONDS,
    )
    asking = FetchSettings(
        pipefy=settings.pipefy,
        patience=patience,
        periods=[Period.CURRENT_MONTH],
        organizations_per_request=settings.export.organizations_per_request,
        traffic=traffic,
    )
    plans = plan_accounts(settings.accounts, known, ())
    async with open_clients(plans, credentials, asking) as clients:
        targets = await fetch_targets(plans, clients)
        failures: dict[str, OrganizationError] = {}
        async with aclosing(fetch_batches(targets, clients, asking)) as batches:
            async for batch in batches:
                for answer in batch.answers:
                    if isinstance(answer.result, OrganizationError):
                        failures[answer.question.organization_uuid] = answer.result
    checks = [check for target in targets for check in _account_checks(target, failures)]
    return [*checks, _check_clock(traffic)]


def _account_checks(target: AccountTargets, failures: Mapping[str, OrganizationError]) -> Iterator[Check]:
    """The account's credentials; each organization that cannot be read; how many can."""
    failed = {each.configured: each.error for each in target.unresolved} | {
        (f"{each.name} ({each.uuid})" if each.name else each.uuid): failures[each.uuid]
        for each in target.organizations
        if each.uuid in failures
    }
    account = f"account {target.account.name!r}"
    refused = next((error for error in failed.values() if error.code == CREDENTIALS_CODE), None)
    if refused is not None:
        yield Check(account, CheckState.FAILED, str(refused).removeprefix(f"{account}: "))
        return
    readable = len(target.organizations) + len(target.unresolved) - len(failed)
    if not readable and failed and all(map(_is_unheard, failed.values())):
        yield Check(account, CheckState.FAILED, str(next(iter(failed.values()))))
        return
    yield Check(account, CheckState.OK, "its credentials are accepted")
    for organization, error in failed.items():
        correlation = f" (correlation id {error.correlation_id})" if error.correlation_id else ""
        yield Check(f"organization {organization}", CheckState.FAILED, f"{error.code}: {error}{correlation}")
    if readable:
        yield Check(f"organizations of {account}", CheckState.OK, f"{readable:,} can be read")


def _is_unheard(error: OrganizationError) -> bool:
    """Whether Pipefy has not said anything about the question."""
    ours = {"UNREACHABLE", "TIMEOUT", "NO_TOKEN", "NO_JSON", "WEB_PAGE"}
    return error.code in ours or error.code.startswith("HTTP_")


def _check_clock(traffic: Traffic) -> Check:
    name = "clock"
    if traffic.clock_skew_seconds is None:
        return Check(name, CheckState.WARNING, "could not be compared with Pipefy's, which did not answer")
    skew = abs(traffic.clock_skew_seconds)
    if skew > _SKEW_TO_WARN_SECONDS:
        state = CheckState.FAILED if skew > _SKEW_TO_FAIL_SECONDS else CheckState.WARNING
        return Check(name, state, f"is {skew:,.0f} s apart from Pipefy's; set this machine's clock (NTP)")
    return Check(name, CheckState.OK, "agrees with Pipefy's")
