"""The configuration: where it is found, how it is read, and what the environment overrides."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from jobs.config import find_config, holds_password, load_settings
from jobs.errors import ConfigurationError
from jobs.periods import Period
from jobs.settings import Settings

SMALLEST = """
[[accounts]]
name = "main"
organizations = ["300123456"]
[database]
url = "sqlite:///usage.db"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def _load(path: Path, text: str = SMALLEST, environ: Mapping[str, str] | None = None) -> Settings:
    path.write_text(text, encoding="utf-8")
    return load_settings(path, {f"PIPEFY_USAGE__{name}": value for name, value in (environ or {}).items()})


def _refusal(path: Path, text: str = SMALLEST, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as refused:
        _load(path, text, environ)
    return str(refused.value)


def test_the_file_that_is_named_goes_before_the_variable_and_the_folder(tmp_path: Path) -> None:
    here = tmp_path / "config.toml"
    here.touch()
    environ = {"PIPEFY_USAGE_CONFIG": "/etc/usage.toml"}

    assert find_config(Path("mine.toml"), environ, tmp_path) == Path("mine.toml")
    assert find_config(None, environ, tmp_path) == Path("/etc/usage.toml")
    assert find_config(None, {"PIPEFY_USAGE_CONFIG": ""}, tmp_path) == here


def test_where_no_file_is_the_message_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="pipefy-usage init") as refused:
        find_config(None, {}, tmp_path)

    assert str(tmp_path / "config.toml") in str(refused.value)
    assert "--config FILE or PIPEFY_USAGE_CONFIG" in str(refused.value)


def test_the_smallest_configuration_has_the_documented_defaults(path: Path) -> None:
    settings = _load(path)

    assert settings.pipefy.graphql_url == "https://api.pipefy.com/graphql"
    assert settings.pipefy.token_url == "https://app.pipefy.com/oauth/token"
    (account,) = settings.accounts
    assert account.client_id_env == "PIPEFY_SERVICE_ACCOUNT_CLIENT_ID"
    assert account.client_secret_env == "PIPEFY_SERVICE_ACCOUNT_CLIENT_SECRET"
    assert settings.export.periods == [Period.CURRENT_MONTH, Period.LAST_MONTH, Period.LAST_3_MONTHS]
    assert settings.database.auto_migrate
    assert (settings.schedule.cron, settings.schedule.timezone) == ("15 5 * * *", "UTC")
    assert settings.snapshots.path == path.parent / "snapshots"


def test_paths_are_relative_to_the_file_wherever_the_program_runs(
    path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    path.write_text(
        SMALLEST.replace('url = "sqlite:///usage.db"', 'url_file = "secrets/url"').replace(
            "[database]", 'client_secret_file = "/run/secret"\n[database]'
        )
        + '[snapshots]\npath = "data/snapshots"',
        encoding="utf-8",
    )

    settings = load_settings(Path("config.toml"), {})
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    same = load_settings(path, {})

    assert settings == same
    assert settings.snapshots.path == path.parent / "data" / "snapshots"
    assert settings.database.url_file == path.parent / "secrets" / "url"
    assert settings.accounts[0].client_secret_file == Path("/run/secret")


def test_a_home_folder_is_meant_by_a_tilde(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/tests")

    settings = _load(path, SMALLEST + '[snapshots]\npath = "~/snapshots"')

    assert settings.snapshots.path == Path("/home/of/tests/snapshots")


def test_a_byte_order_mark_does_no_harm(path: Path) -> None:
    path.write_text(SMALLEST, encoding="utf-8-sig")

    assert load_settings(path, {}).accounts[0].name == "main"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[pipefy\n", "is no TOML: "),
        (b"[database]\nurl = sqlite:///usage.db\n", "texts stand in quotes"),
        (b"[database]\n[database]\n", "is no TOML: "),
        (SMALLEST.encode("utf-16"), "is not UTF-8 (byte 0); save it as UTF-8"),
        (b'[[accounts]]\nname = "S\xe3o Paulo"\n', "is not UTF-8 (byte 22)"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_by_its_name(path: Path, content: bytes, complaint: str) -> None:
    path.write_bytes(content)

    with pytest.raises(ConfigurationError) as refused:
        load_settings(path, {})

    assert str(refused.value).startswith(str(path))
    assert complaint in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, {})


def test_a_file_that_is_not_there_is_refused_with_how_to_make_one(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"does not exist.*pipefy-usage init"):
        load_settings(path, {})


@pytest.mark.parametrize(
    ("name", "value", "where", "expected"),
    [
        ("PIPEFY__GRAPHQL_URL", "https://x.test/graphql", "pipefy.graphql_url", "https://x.test/graphql"),
        ("PIPEFY__ALLOW_INSECURE_URLS", "true", "pipefy.allow_insecure_urls", True),
        ("PIPEFY__ATTEMPTS", "3", "pipefy.attempts", 3),
        ("PIPEFY__ANSWER_SECONDS", "3", "pipefy.answer_seconds", 3.0),
        ("EXPORT__PERIODS", '["last_month"]', "export.periods", [Period.LAST_MONTH]),
        ("DATABASE__URL", "postgresql://u:p@h/d", "database.url", "postgresql://u:p@h/d"),
        ("DATABASE__URL", '"sqlite:///quoted.db"', "database.url", "sqlite:///quoted.db"),
        ("DATABASE__AUTO_MIGRATE", "false", "database.auto_migrate", False),
        ("SNAPSHOTS__PATH", "/srv/snapshots", "snapshots.path", Path("/srv/snapshots")),
        ("SCHEDULE__CRON", "06:30", "schedule.cron", "06:30"),
        ("SCHEDULE__TIMEZONE", "Asia/Kathmandu", "schedule.timezone", "Asia/Kathmandu"),
        ("SCHEDULE", '{cron = "@daily"}', "schedule.cron", "@daily"),
        ("ACCOUNTS__0__NAME", "other", "accounts.0.name", "other"),
        ("ACCOUNTS__0__ORGANIZATIONS", "all", "accounts.0.organizations", "all"),
        ("ACCOUNTS__0__ORGANIZATIONS", "[1, 2]", "accounts.0.organizations", ["1", "2"]),
        ("ACCOUNTS__1", '{name = "two", organizations = ["2"]}', "accounts.1.name", "two"),
    ],
)
def test_a_variable_overrides_a_key_of_any_level(
    path: Path, name: str, value: str, where: str, expected: object
) -> None:
    found: object = _load(path, SMALLEST, {name: value})
    for part in where.split("."):
        found = found[int(part)] if isinstance(found, list) else getattr(found, part)

    assert found == expected


def test_variables_can_add_an_account_and_hold_the_whole_configuration(path: Path) -> None:
    environ = {
        "ACCOUNTS__0__NAME": "one",
        "ACCOUNTS__0__ORGANIZATIONS": '["1"]',
        "ACCOUNTS__1__NAME": "two",
        "ACCOUNTS__1__ORGANIZATIONS": '["2"]',
        "DATABASE__URL": "sqlite:///usage.db",
    }

    settings = _load(path, "", environ)

    assert [(account.name, account.organizations) for account in settings.accounts] == [
        ("one", ["1"]),
        ("two", ["2"]),
    ]


def test_other_variables_are_left_alone(path: Path) -> None:
    path.write_text(SMALLEST, encoding="utf-8")

    plain = load_settings(path, {})

    assert load_settings(path, {"PIPEFY_TOKEN": "x", "PIPEFY_USAGE_CONFIG": "x", "PATH": "/bin"}) == plain


@pytest.mark.parametrize(
    "name",
    [
        "",
        "0",
        "DATABASE____URL",
        "ACCOUNTS__NAME",
        "ACCOUNTS__2__NAME",
        "ACCOUNTS__0__NAME__FIRST",
        "DATABASE__URL__0",
    ],
)
def test_a_variable_that_leads_nowhere_is_refused_by_its_name(path: Path, name: str) -> None:
    refusal = _refusal(path, environ={name: "x"})

    assert refusal.startswith(f"the variable PIPEFY_USAGE__{name} names no key")
    assert "PIPEFY_USAGE__DATABASE__URL" in refusal


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("PIPEFY__GRAPHQL", "x", "pipefy.graphql (from {}) is no key; did you mean graphql_url?"),
        ("PIPEFY__ATTEMPTS", "many", "pipefy.attempts (from {}) is 'many'; write a whole number"),
        ("SCHEDULE__CRON", "5 past 5", "schedule.cron (from {}): '5 past 5' is no schedule"),
        ("SCHEDULE__CRON", "05:15:00", "schedule.cron (from {}): '05:15:00' is no schedule"),
        ("ACCOUNTS__0__ORGANIZATIONS", "300123456", "accounts[0].organizations (from {}) cannot be used so"),
        ("DATABASE__URL_ENV", "X", "database (from {}): url and url_env are set"),
        ("DATABASE__URL", "", "database (from {}): no address is set"),
    ],
)
def test_a_value_from_the_environment_is_refused_with_its_variable(
    path: Path, name: str, value: str, complaint: str
) -> None:
    assert complaint.format(f"PIPEFY_USAGE__{name}") in _refusal(path, environ={name: value})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:secret-word@host/name",
        "mysql://user:secret-word@host:3306/name?charset=utf8mb4",
        "postgresql://user:secret-word[@host/name",
        "postgresql://:secret-word@host/name",
        "postgresql://user:secret/word@host/name",
        "postgresql://user@host/name?password=secret-word",
        "mysql://user@host/name?charset=utf8mb4&passwd=secret-word",
    ],
)
def test_a_password_may_not_stand_in_the_file_but_in_a_variable(path: Path, url: str) -> None:
    refusal = _refusal(path, SMALLEST.replace("sqlite:///usage.db", url))

    assert "database.url holds a password" in refusal
    assert "url_env = " in refusal
    assert "url_file = " in refusal
    assert "secret" not in refusal
    assert _load(path, environ={"DATABASE__URL": url}).database.url == url


@pytest.mark.parametrize(
    "url",
    ["sqlite:///usage.db", "sqlite:////srv/a@b:c.db", "postgresql://user@host:5432/name?x=a@b", "no address"],
)
def test_an_address_without_a_password_may_stand_in_the_file(url: str) -> None:
    assert not holds_password(url)


def test_settings_do_not_change_once_they_are_loaded(path: Path) -> None:
    settings = _load(path)

    with pytest.raises(ValueError, match="frozen"):
        settings.schedule.cron = "@daily"  # type: ignore[misc] # what is tried is what must fail


def test_a_section_that_is_no_section_is_no_reason_to_look_into_it(path: Path) -> None:
    refusal = _refusal(path, 'database = "postgresql://user:secret-word@host/name"')

    assert "database is no section; write [database] with url = " in refusal
    assert "secret" not in refusal
