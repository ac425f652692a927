"""The configuration that ``init`` writes: every key, explained, with what was answered filled in."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

_TEMPLATE = """\
# The configuration of pipefy-usage-export. Paths are relative to this file.
# Any key can be overridden by an environment variable, for example PIPEFY_USAGE__DATABASE__URL
# or PIPEFY_USAGE__ACCOUNTS__0__NAME. Secrets never stand in this file: it names where they are.

[pipefy]
graphql_url = {graphql_url}
token_url = {token_url}
# allow_insecure_urls = false   # true lets http:// be used beyond this machine
# answer_seconds = 40.0         # the longest that one answer may take; Pipefy itself gives up after 33
# attempts = 6                  # how often a request is tried that fails for a passing reason
# connections = 4               # requests under way at once, for each account

# A set of credentials and the organizations that are read with it. Repeat the section for more accounts.
[[accounts]]
name = "main"
# Numbers (the digits in the app's address, https://app.pipefy.com/organizations/<NUMBER>) or UUIDs,
# or organizations = "all" for every organization whose usage the account may read.
organizations = {organizations}
# The service account's client id and secret, from these environment variables:
client_id_env = "PIPEFY_SERVICE_ACCOUNT_CLIENT_ID"
client_secret_env = "PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET"
# client_secret_file = "/run/secrets/pipefy"                # or the secret from a file, instead
# token_env = "PIPEFY_TOKEN"                                # or a ready bearer token, instead of both
# token_file = "/run/secrets/pipefy-token"                  # or that from a file
# token_url = "https://app.pipefy.com/oauth/token"          # where this account has its own
# token_request = "form"                                    # or "json", or "basic"

[export]
# current_month and last_month give a row a day, last_3_months a row a month.
periods = ["current_month", "last_month", "last_3_months"]
# organizations_per_request = 50   # organizations that share one request; each request is billed
# deadline_seconds = 3600.0        # the longest that a run may take

[database]
# SQLite, PostgreSQL (postgresql://user@host/name) or MySQL and MariaDB (mysql://user@host/name).
# An address with a password belongs into a variable or a file:
{database}
# auto_migrate = true   # false: run "pipefy-usage migrate" yourself after each update

[snapshots]
path = {snapshots}      # Parquet files, <table>/snapshot_date=YYYY-MM-DD/<table>.parquet

[schedule]
cron = {cron}     # minute hour day month weekday, or a time of day like "05:15"
timezone = {timezone}
# jitter_seconds = 0.0   # each run of the service starts up to so much later

[health]
# The service's port with /healthz, /readyz and /metrics.
# host = "127.0.0.1"
# port = 9465

[logs]
# format = "auto"   # "human", "json", or "auto": human on a terminal, JSON elsewhere

[notices]
# A monitor that is pinged at each run's start and end, as healthchecks.io defines it:
# ping_url_env = "USAGE_PING_URL"
# ping_url_file = "/run/secrets/usage-ping-url"
# Messages to people: Apprise addresses (slack://, mailto://, msteams://, ...), separated by spaces:
# urls_env = "USAGE_NOTICE_URLS"
# urls_file = "/run/secrets/usage-notice-urls"
# failing_days = 3             # tell of an organization that fails on so many days in a row
# usage_shares = [0.8, 1.0]    # tell when usage passes these shares of its limit
"""


@dataclass(frozen=True)
class ConfigAnswers:
    """What ``init`` needs to know; the defaults are Pipefy's own addresses and an embedded database.

    Attributes:
        organizations: Numbers or UUIDs; none of them means all that the account may read.
        database: The database's address; one with a password is left out of the file.
        snapshots: The folder of the Parquet files.
        graphql_url: Where queries go.
        token_url: Where tokens come from.
        cron: When the service runs the export.
        timezone: The zone of ``cron``.
    """

    organizations: Sequence[str]
    database: str = "sqlite:///usage.db"
    snapshots: str = "snapshots"
    graphql_url: str = "https://api.pipefy.com/graphql"
    token_url: str = "https://app.pipefy.com/oauth/token"  # noqa: S105 # an address, no secret
    cron: str = "15 5 * * *"
    timezone: str = "UTC"


DATABASE_VARIABLE = "USAGE_DATABASE_URL"


def render_config(answers: ConfigAnswers, *, database_holds_password: bool = False) -> str:
    """The file's text. A database address with a password is replaced by the name of a variable for it."""
    shown = "" if database_holds_password else answers.database
    lines = [
        f"url = {_toml(shown)}" if shown else '# url = "sqlite:///usage.db"',
        f"url_env = {_toml(DATABASE_VARIABLE)}" if not shown else f'# url_env = "{DATABASE_VARIABLE}"',
        '# url_file = "/run/secrets/usage-database"',
    ]
    return _TEMPLATE.format(
        graphql_url=_toml(answers.graphql_url),
        token_url=_toml(answers.token_url),
        organizations=_toml(list(answers.organizations) or "all"),
        database="\n".join(lines),
        snapshots=_toml(answers.snapshots),
        cron=_toml(answers.cron),
        timezone=_toml(answers.timezone),
    )


def _toml(value: str | list[str]) -> str:
    # JSON's strings and lists of strings are TOML's, too, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
