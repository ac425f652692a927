"""The settings: every key of the configuration, its type, its default and what it may be."""

import ipaddress
import re
import uuid
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    model_validator,
)

from jobs.periods import Period
from jobs.schedule import Schedule

EVERY_ORGANIZATION = "all"

_NUMERIC_ID = re.compile(r"[1-9][0-9]{0,18}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _web_address(value: str) -> str:
    mistaken = f"{value!r} is no web address; write one like https://api.pipefy.com/graphql"
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as exc:
        raise ValueError(mistaken) from exc
    if parts.username or parts.password:
        raise ValueError(
            "an address must not hold credentials; name them by client_id_env and client_secret_env"
        )
    if parts.scheme not in {"https", "http"} or not parts.hostname or re.search(r"\s", value):
        raise ValueError(mistaken)
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        # Whoever writes a secret here by mistake should not find it in a log, too.
        raise ValueError(
            "it names an environment variable, so write letters, digits and _; "
            "what the variable holds does not belong into this file"
        )
    return value


def parse_organization_id(value: object) -> str:
    """An organization's number, or its UUID in lower case with hyphens.

    Raises:
        ValueError: It is neither.
    """
    if value == EVERY_ORGANIZATION:
        raise ValueError('"all" stands alone; write organizations = "all"')
    text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if _NUMERIC_ID.fullmatch(text):
        return text
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError(
            f"{value!r} is neither an organization's number (the digits in the app's address) nor its UUID"
        ) from None


def _beside_the_file(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str | Path):
        raise ValueError(f"{value!r} is no path; write a folder or file in quotes")  # noqa: TRY004 # pydantic's way
    if "://" in str(value):
        raise ValueError(f"{value!r} is an address; write a folder or file of this machine")
    path = Path(value).expanduser()
    return info.context["folder"] / path if info.context else path


def _period(value: object) -> object:
    if isinstance(value, str) and value in set(Period):
        return Period(value)
    raise ValueError(f"{value!r} is no period; write one of {', '.join(Period)}")


def _zone(value: str) -> str:
    Schedule("@daily", value)
    return value


def _cron(value: str) -> str:
    Schedule(value)
    return value


WebAddress = Annotated[str, AfterValidator(_web_address)]
VariableName = Annotated[str, AfterValidator(_variable)]
OrganizationId = Annotated[str, BeforeValidator(parse_organization_id)]
FilePath = Annotated[Path, BeforeValidator(_beside_the_file)]
PeriodName = Annotated[Period, BeforeValidator(_period)]
OrganizationList = Annotated[
    Annotated[list[OrganizationId], Field(min_length=1), Tag("each")]
    | Annotated[Literal["all"], Tag("every")],
    Discriminator(lambda value: "every" if isinstance(value, str) else "each"),
]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=True)


class PipefySettings(_Section):
    """``[pipefy]``: where the API is, and how patiently it is asked.

    Attributes:
        graphql_url: Where queries go.
        token_url: Where tokens come from, unless an account names its own place.
        allow_insecure_urls: Whether ``http://`` may be used beyond this machine.
        answer_seconds: The longest that one answer may take; Pipefy itself gives up after 33 s.
        attempts: How often a request is tried that fails for a passing reason.
        connections: Requests under way at once, for each account.
    """

    graphql_url: WebAddress = "https://api.pipefy.com/graphql"
    token_url: WebAddress = "https://app.pipefy.com/oauth/token"  # noqa: S105 # an address, no secret
    allow_insecure_urls: bool = False
    answer_seconds: Annotated[float, Field(gt=0, le=600)] = 40.0
    attempts: Annotated[int, Field(ge=1, le=20)] = 6
    connections: Annotated[int, Field(ge=1, le=64)] = 4


class AccountSettings(_Section):
    """``[[accounts]]``: a set of Pipefy credentials, and the organizations that are read with them.

    Attributes:
        name: How messages and tables call it.
        organizations: Numbers or UUIDs, or ``"all"`` for every organization that the account may read.
        client_id_env: Variable that holds the service account's client id.
        client_secret_env: Variable that holds its secret.
        client_secret_file: File that holds its secret, instead.
        token_env: Variable that holds a ready bearer token, instead of a client id and secret.
        token_file: File that holds a ready bearer token, instead.
        token_url: Where the account's tokens come from, where not from ``[pipefy] token_url``.
        token_request: How the token is asked for: ``form``, ``json`` or ``basic``.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    organizations: OrganizationList
    client_id_env: VariableName = "PIPEFY_SERVICE_ACCOUNT_CLIENT_ID"
    client_secret_env: VariableName = "PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET"  # noqa: S105 # a variable's name
    client_secret_file: FilePath | None = None
    token_env: VariableName | None = None
    token_file: FilePath | None = None
    token_url: WebAddress | None = None
    token_request: Literal["form", "json", "basic"] = "form"  # noqa: S105 # no secret

    @property
    def listed(self) -> list[str]:
        """The organizations that are named one by one; none for ``"all"``."""
        return [] if isinstance(self.organizations, str) else self.organizations

    @model_validator(mode="after")
    def _one_source_of_each_secret(self) -> "AccountSettings":
        if self.token_env and self.token_file:
            raise ValueError("token_env and token_file are both set; keep one")
        if self.client_secret_file and "client_secret_env" in self.model_fields_set:
            raise ValueError("client_secret_env and client_secret_file are both set; keep one")
        return self


class ExportSettings(_Section):
    """``[export]``: what a run asks for.

    Attributes:
        periods: Windows of usage: ``current_month`` and ``last_month`` give days, ``last_3_months`` months.
        organizations_per_request: How many organizations share one GraphQL request.
        deadline_seconds: The longest that a run may take; what is not fetched by then is reported as failed.
    """

    periods: Annotated[list[PeriodName], Field(min_length=1)] = list(Period)
    organizations_per_request: Annotated[int, Field(ge=1, le=100)] = 50
    deadline_seconds: Annotated[float, Field(gt=0)] = 3600.0

    @model_validator(mode="after")
    def _each_period_once(self) -> "ExportSettings":
        if len(set(self.periods)) < len(self.periods):
            raise ValueError("periods names one twice; keep one, since each answer is billed")
        return self


class DatabaseSettings(_Section):
    """``[database]``: where the tables are.

    Attributes:
        url: The address, where it holds no password.
        url_env: Variable that holds the address.
        url_file: File that holds the address.
        auto_migrate: Whether ``run`` brings the tables up to date by itself.
    """

    url: str | None = None
    url_env: VariableName | None = None
    url_file: FilePath | None = None
    auto_migrate: bool = True

    @model_validator(mode="after")
    def _one_address(self) -> "DatabaseSettings":
        named = [name for name in ("url", "url_env", "url_file") if getattr(self, name)]
        if len(named) != 1:
            found = f"{' and '.join(named)} are set" if named else "no address is set"
            raise ValueError(
                f'{found}; write one of url, url_env or url_file, like url = "sqlite:///usage.db"'
            )
        return self


class SnapshotSettings(_Section):
    """``[snapshots]``: where the Parquet files are.

    Attributes:
        path: The folder, made if it is missing.
    """

    # The default is made without a folder to be relative to, so it is checked again with one.
    model_config = ConfigDict(revalidate_instances="always")

    path: FilePath = Path("snapshots")


class ScheduleSettings(_Section):
    """``[schedule]``: when the service runs the export.

    Attributes:
        cron: Five crontab fields, or a time of day like ``05:15``.
        timezone: The zone of ``cron``.
        jitter_seconds: Each run starts up to so much later, so that many services do not ask at one instant.
    """

    cron: Annotated[str, AfterValidator(_cron)] = "15 5 * * *"
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    jitter_seconds: Annotated[float, Field(ge=0, le=3600)] = 0.0


class HealthSettings(_Section):
    """``[health]``: where the service tells how it is.

    Attributes:
        host: The address of ``/healthz``, ``/readyz`` and ``/metrics``; this machine's own unless changed.
        port: Its port; 0 takes a free one.
    """

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9465


class LogSettings(_Section):
    """``[logs]``: how the service writes what it does.

    Attributes:
        format: ``human``, ``json``, or ``auto``: for humans on a terminal, JSON elsewhere.
    """

    format: Literal["auto", "human", "json"] = "auto"


class NoticeSettings(_Section):
    """``[notices]``: who is told how the service does.

    Attributes:
        ping_url_env: Variable that holds a monitor's address, pinged as healthchecks.io defines it.
        ping_url_file: File that holds it.
        urls_env: Variable that holds Apprise addresses of people, separated by spaces.
        urls_file: File that holds them.
        failing_days: An organization that fails on so many days in a row is told of.
        usage_shares: Shares of its limit at which an organization's usage is told of.
    """

    ping_url_env: VariableName | None = None
    ping_url_file: FilePath | None = None
    urls_env: VariableName | None = None
    urls_file: FilePath | None = None
    failing_days: Annotated[int, Field(ge=1)] = 3
    usage_shares: list[Annotated[float, Field(gt=0)]] = [0.8, 1.0]

    @model_validator(mode="after")
    def _one_source_of_each_address(self) -> "NoticeSettings":
        for name in ("ping_url", "urls"):
            if getattr(self, f"{name}_env") and getattr(self, f"{name}_file"):
                raise ValueError(f"{name}_env and {name}_file are both set; keep one")
        return self


class Settings(_Section):
    """The whole configuration, checked; paths are absolute.

    Attributes:
        pipefy: ``[pipefy]``.
        accounts: ``[[accounts]]``, at least one.
        export: ``[export]``.
        database: ``[database]``.
        snapshots: ``[snapshots]``.
        schedule: ``[schedule]``.
        health: ``[health]``.
        logs: ``[logs]``.
        notices: ``[notices]``.
    """

    pipefy: PipefySettings = PipefySettings()
    accounts: Annotated[list[AccountSettings], Field(min_length=1)]
    export: ExportSettings = ExportSettings()
    database: DatabaseSettings
    snapshots: SnapshotSettings = SnapshotSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    health: HealthSettings = HealthSettings()
    logs: LogSettings = LogSettings()
    notices: NoticeSettings = NoticeSettings()

    @model_validator(mode="after")
    def _accounts_are_apart(self) -> "Settings":
        for name, count in Counter(account.name for account in self.accounts).items():
            if count > 1:
                raise ValueError(f"{count} accounts are named {name!r}; give each its own name")
        owners: dict[str, str] = {}
        for account in self.accounts:
            for organization in account.listed:
                if (owner := owners.get(organization)) is not None:
                    both = f"accounts {owner!r} and" if owner != account.name else "account"
                    raise ValueError(
                        f"organization {organization} stands twice, under {both} {account.name!r}; "
                        "keep one, since each request is billed"
                    )
                owners[organization] = account.name
        return self

    @model_validator(mode="after")
    def _secrets_travel_encrypted(self) -> "Settings":
        addresses = {"pipefy.graphql_url": self.pipefy.graphql_url, "pipefy.token_url": self.pipefy.token_url}
        for index, account in enumerate(self.accounts):
            if account.token_url:
                addresses[f"accounts[{index}].token_url"] = account.token_url
        for key, address in addresses.items():
            if not (self.pipefy.allow_insecure_urls or address.startswith("https:") or _is_loopback(address)):
                raise ValueError(
                    f"{key} = {address!r} would send secrets unencrypted; write https://, or set "
                    "allow_insecure_urls = true under [pipefy] if this network is yours"
                )
        return self


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
