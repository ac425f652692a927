"""What is said about a configuration that cannot be used: the key, what is wrong, what to write."""

from pathlib import Path

import pytest

from jobs.config import load_settings
from jobs.errors import ConfigurationError

SMALLEST = """
[[accounts]]
name = "main"
organizations = ["300123456"]
{account}
[database]
url = "sqlite:///usage.db"
{rest}
"""
ACCOUNTS = 'write [[accounts]] with name = "main" and organizations = ["300123456"]'
ADDRESS = 'write one of url, url_env or url_file, like url = "sqlite:///usage.db"'
ORGANIZATIONS = 'write organizations = ["300123456"], or organizations = "all"'


def _complaints(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_settings(path, {})
    lines = str(refused.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


@pytest.mark.parametrize(
    ("rest", "complaint"),
    [
        ("[snapshot]", "snapshot is no key; did you mean snapshots?"),
        ("[pipefy]\ngraphqlurl = 1", "pipefy.graphqlurl is no key; did you mean graphql_url?"),
        (
            "[schedule]\nzzz = 1",
            "schedule.zzz is no key; known here: cron, timezone",
        ),
        ("[pipefy]\nattempts = 'six'", "pipefy.attempts is 'six'; write a whole number"),
        ("[pipefy]\nattempts = 6.5", "pipefy.attempts is 6.5; write a whole number"),
        ("[pipefy]\nattempts = true", "pipefy.attempts is True; write a whole number"),
        ("[pipefy]\nattempts = 0", "pipefy.attempts is 0; it should be greater than or equal to 1"),
        ("[pipefy]\nanswer_seconds = '9'", "pipefy.answer_seconds is '9'; write a number"),
        ("[pipefy]\nanswer_seconds = nan", "pipefy.answer_seconds is nan; it should be"),
        ("[pipefy]\nallow_insecure_urls = 1", "pipefy.allow_insecure_urls is 1; write true or false"),
        ("[pipefy]\ngraphql_url = 5", "pipefy.graphql_url is 5; write text in quotes"),
        ("[snapshots]\npath = 5", "snapshots.path: 5 is no path; write a folder or file in quotes"),
        (
            "[snapshots]\npath = 's3://b/k'",
            "snapshots.path: 's3://b/k' is an address; write a folder or file of this machine",
        ),
        (
            "[export]\nperiods = 'last_month'",
            'export.periods cannot be used so; write periods = ["current_month", "last_month", "last_3_mo',
        ),
        ("[export]\nperiods = []", 'export.periods is empty; write periods = ["current_month", '),
        (
            "[export]\nperiods = ['last_month', 'this_month']",
            "export.periods[1]: 'this_month' is no period; write one of current_month, last_month, last_3_mo",
        ),
        (
            "[export]\nperiods = ['last_month', 'last_month']",
            "export: periods names one twice; keep one, since each answer is billed",
        ),
        ("[schedule]\ncron = '* *'", "schedule.cron: '* *' is no schedule; write five crontab fields"),
        ("[schedule]\ncron = '0 0 * * 9'", "schedule.cron: '0 0 * * 9' is no schedule: '9' is no weekday"),
        (
            "[schedule]\ntimezone = 'Lisbon'",
            "schedule.timezone: 'Lisbon' is no time zone; write one like Europe/Lisbon or UTC",
        ),
    ],
)
def test_a_bad_key_is_named_with_what_is_wrong_and_what_to_write(
    tmp_path: Path, rest: str, complaint: str
) -> None:
    (line,) = _complaints(tmp_path, SMALLEST.format(account="", rest=rest))

    assert line.startswith(complaint)


@pytest.mark.parametrize(
    ("account", "complaint"),
    [
        ("client_secret = 's3cr3t'", "accounts[0].client_secret is no key; did you mean client_secret_env?"),
        (
            "client_secret_env = 's3cr3t!'",
            "accounts[0].client_secret_env: it names an environment variable, so write letters, digits and _",
        ),
        (
            "client_secret_env = 'A'\nclient_secret_file = 'b'",
            "accounts[0]: client_secret_env and client_secret_file are both set; keep one",
        ),
        ("token_env = 'A'\ntoken_file = 'b'", "accounts[0]: token_env and token_file are both set; keep one"),
        (
            "token_request = 'xml'",
            "accounts[0].token_request is 'xml'; it should be 'form', 'json' or 'basic'",
        ),
        ("token_url = 'app.pipefy.com'", "accounts[0].token_url: 'app.pipefy.com' is no web address"),
        (
            "[[accounts]]\nname = 'main'\norganizations = 'all'",
            "2 accounts are named 'main'; give each its own name",
        ),
        (
            "[[accounts]]\nname = 'other'\norganizations = [300123456]",
            "organization 300123456 stands twice, under accounts 'main' and 'other'; keep one",
        ),
        ("[[accounts]]\nname = ''\norganizations = 'all'", 'accounts[1].name is empty; write name = "main"'),
        ("[[accounts]]\nname = 'other'", f"accounts[1].organizations is missing; {ORGANIZATIONS}"),
    ],
)
def test_a_bad_account_is_named_by_its_place_and_its_secrets_are_not_repeated(
    tmp_path: Path, account: str, complaint: str
) -> None:
    (line,) = _complaints(tmp_path, SMALLEST.format(account=account, rest=""))

    assert line.startswith(complaint)
    assert "s3cr3t" not in line


@pytest.mark.parametrize(
    ("organizations", "complaint"),
    [
        ("[]", f" is empty; {ORGANIZATIONS}"),
        ("300123456", f" cannot be used so; {ORGANIZATIONS}"),
        ("'300123456'", f" cannot be used so; {ORGANIZATIONS}"),
        ("'ALL'", f" cannot be used so; {ORGANIZATIONS}"),
        ("['all']", '[0]: "all" stands alone; write organizations = "all"'),
        (
            "['1', 'acme']",
            "[1]: 'acme' is neither an organization's number (the digits in the app's address)",
        ),
        ("['0123']", "[0]: '0123' is neither an organization's number"),
        ("[true]", "[0]: True is neither an organization's number"),
        ("[1.5]", "[0]: 1.5 is neither an organization's number"),
    ],
)
def test_bad_organizations_are_answered_with_good_ones(
    tmp_path: Path, organizations: str, complaint: str
) -> None:
    text = SMALLEST.format(account="", rest="").replace('["300123456"]', organizations)

    (line,) = _complaints(tmp_path, text)

    assert line.startswith(f"accounts[0].organizations{complaint}")


def test_an_organization_twice_under_one_account_is_seen_in_any_spelling(tmp_path: Path) -> None:
    twice = '["8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11", "8F14E45FCEEA4D1B9C5A0F3F2F6A7B11"]'
    text = SMALLEST.format(account="", rest="").replace('["300123456"]', twice)

    (line,) = _complaints(tmp_path, text)

    assert line.startswith(
        "organization 8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11 stands twice, under account 'main';"
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "",
            [
                f"accounts is missing; {ACCOUNTS}",
                'database is missing; write [database] with url = "sqlite:///usage.db"',
            ],
        ),
        (
            "accounts = []\npipefy = 1\n[database]",
            [
                "pipefy is no section; write [pipefy]",
                f"accounts is empty; {ACCOUNTS}",
                f"database: no address is set; {ADDRESS}",
            ],
        ),
        (
            '[accounts]\nname = "main"\n[database]\nurl = "a"\nurl_file = "b"',
            [
                f"accounts cannot be used so; {ACCOUNTS}",
                f"database: url and url_file are set; {ADDRESS}",
            ],
        ),
        (
            'accounts = ["main"]\n[database]\nurl = "a"',
            [f"accounts[0] is no section; {ACCOUNTS}"],
        ),
    ],
)
def test_all_that_is_to_mend_is_said_at_once_a_line_for_each_key(
    tmp_path: Path, text: str, lines: list[str]
) -> None:
    assert _complaints(tmp_path, text) == lines
