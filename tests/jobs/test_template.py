"""The configuration that ``init`` writes, and the example in the repository."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from jobs.config import load_settings
from jobs.settings import (
    AccountSettings,
    DatabaseSettings,
    ExportSettings,
    HealthSettings,
    LogSettings,
    NoticeSettings,
    PipefySettings,
    ScheduleSettings,
    Settings,
    SnapshotSettings,
)
from jobs.template import DATABASE_VARIABLE, ConfigAnswers, render_config

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
TEXT = render_config(ConfigAnswers(["300123456", "8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11"]))
OPTIONAL = re.compile(r"^# (?P<key>\w+) = ", re.MULTILINE)
# A key that takes the place of another.
INSTEAD = {"client_secret_file": "client_secret_env", "url_env": "url", "url_file": "url"}
SECTIONS: dict[str, type[BaseModel]] = {
    "pipefy": PipefySettings,
    "accounts": AccountSettings,
    "export": ExportSettings,
    "database": DatabaseSettings,
    "snapshots": SnapshotSettings,
    "schedule": ScheduleSettings,
    "health": HealthSettings,
    "logs": LogSettings,
    "notices": NoticeSettings,
}


def test_the_example_is_what_init_writes() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == TEXT


def test_the_example_loads_as_it_stands_with_the_defaults() -> None:
    settings = load_settings(EXAMPLE, {})

    assert settings.pipefy == PipefySettings()
    assert settings.export == ExportSettings()
    assert settings.schedule == ScheduleSettings()
    assert settings.accounts == [
        AccountSettings(name="main", organizations=["300123456", "8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11"])
    ]


def test_the_sections_are_those_of_the_settings() -> None:
    assert set(SECTIONS) == set(Settings.model_fields)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_named_under_its_section(section: str) -> None:
    _, _, after = TEXT.partition(f"[{section}]")
    within = re.split(r"^\[", after, flags=re.MULTILINE)[0]

    named = set(re.findall(r"^(?:# )?(\w+) = ", within, re.MULTILINE))

    assert named == set(SECTIONS[section].model_fields)


@pytest.mark.parametrize("key", OPTIONAL.findall(TEXT))
def test_each_key_that_is_commented_out_can_be_used_as_it_stands(tmp_path: Path, key: str) -> None:
    text = re.sub(rf"^# {key} = ", f"{key} = ", TEXT, count=1, flags=re.MULTILINE)
    if key in INSTEAD:
        text = re.sub(rf"^{INSTEAD[key]} = ", f"# {INSTEAD[key]} = ", text, count=1, flags=re.MULTILINE)
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")

    settings = load_settings(path, {})

    used = [*settings.accounts, *(getattr(settings, name) for name in SECTIONS if name != "accounts")]
    assert any(key in section.model_fields_set for section in used)


@pytest.mark.parametrize("key", ["allow_insecure_urls", "answer_seconds", "attempts", "connections"])
def test_what_a_commented_key_shows_is_its_default(key: str) -> None:
    (shown,) = re.findall(rf"^# ({key} = [^ ]+)", TEXT, re.MULTILINE)

    assert tomllib.loads(shown)[key] == PipefySettings.model_fields[key].default


def test_no_organization_means_all() -> None:
    assert tomllib.loads(render_config(ConfigAnswers([])))["accounts"][0]["organizations"] == "all"


def test_a_database_address_with_a_password_is_replaced_by_the_name_of_a_variable() -> None:
    answers = ConfigAnswers([], database="postgresql://u:s3cr3t@h/d")

    text = render_config(answers, database_holds_password=True)

    assert "s3cr3t" not in text
    assert tomllib.loads(text)["database"] == {"url_env": DATABASE_VARIABLE}


@settings(deadline=None)
@given(answer=st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_is_answered_is_read_back_as_it_was_meant(answer: str) -> None:
    text = render_config(
        ConfigAnswers(
            [answer],
            database=answer or "x",
            snapshots=answer,
            graphql_url=answer,
            token_url=answer,
            cron=answer,
            timezone=answer,
        )
    )

    read = tomllib.loads(text)
    assert read["accounts"][0]["organizations"] == [answer]
    assert read["database"]["url"] == (answer or "x")
    assert read["snapshots"]["path"] == answer
    assert read["pipefy"] == {"graphql_url": answer, "token_url": answer}
    assert read["schedule"] == {"cron": answer, "timezone": answer}
