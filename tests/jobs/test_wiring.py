"""From the command line's words to real objects."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.credentials import ClientCredentials
from jobs.errors import ConfigurationError
from jobs.sandbox import Sandbox
from jobs.wiring import build_wiring, load_all_credentials, require_writable, selected_organizations
from tests.exporting import Export


@pytest.fixture
def export(tmp_path: Path) -> Export:
    return Export(Sandbox(), f"sqlite:///{tmp_path}/usage.db", tmp_path, pipefy="allow_insecure_urls = true")


def test_loading_a_configuration_touches_no_file_but_itself(export: Export, tmp_path: Path) -> None:
    export.wiring()

    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("usage.db", "not a database address; write one like sqlite:///usage.db"),
        ("sqlite:///:memory:", "forgets everything at the end of the run"),
        ("oracle://host/name", "'oracle' is not supported"),
        ("postgresql://host", "names no database"),
    ],
)
def test_an_address_that_is_no_database_is_refused_with_the_file(
    export: Export, url: str, complaint: str
) -> None:
    export.database_url = url

    with pytest.raises(ConfigurationError) as refused:
        export.wiring()

    assert str(refused.value).startswith(f"{export.config}: database: ")
    assert complaint in str(refused.value)


def test_the_secrets_of_all_accounts_are_loaded_by_name(export: Export) -> None:
    export.extra = '[[accounts]]\nname = "two"\norganizations = ["2"]\nclient_id_env = "TWO"'

    credentials = load_all_credentials(export.wiring().settings, {**export.secrets, "TWO": "id of two"})

    assert list(credentials) == ["main", "two"]
    assert isinstance(credentials["two"], ClientCredentials)
    assert credentials["two"].client_id == "id of two"


def test_all_accounts_that_lack_a_secret_are_named_at_once(export: Export) -> None:
    export.extra = '[[accounts]]\nname = "two"\norganizations = ["2"]\ntoken_env = "TOKEN_OF_TWO"'

    with pytest.raises(ConfigurationError) as refused:
        load_all_credentials(export.wiring().settings, {})

    first, second = str(refused.value).splitlines()
    assert first.startswith("account 'main': client_id_env names the variable")
    assert second.startswith("account 'two': token_env names the variable TOKEN_OF_TWO")


def test_what_a_run_will_make_need_not_be_there(export: Export, tmp_path: Path) -> None:
    wiring = build_wiring(export.config, {"PIPEFY_USAGE__SNAPSHOTS__PATH": "not/yet/there"}, tmp_path)

    require_writable(wiring)

    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_all_places_that_cannot_be_written_are_named_at_once(export: Export, tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_text("a file", encoding="utf-8")
    export.database_url = "sqlite:///not/there/usage.db"

    with pytest.raises(ConfigurationError) as refused:
        require_writable(export.wiring())

    snapshots, database = str(refused.value).splitlines()
    assert snapshots.startswith(
        f"{export.config}: snapshots.path: {tmp_path}/snapshots is no folder; name another"
    )
    assert database.startswith(
        f"{export.config}: database: the folder {tmp_path}/not/there does not exist; make it"
    )


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Path]:
    """A folder that this user may not write in."""
    if os.geteuid() == 0:  # who may write in any folder but the kernel's
        yield Path("/proc/self")
        return
    folder = tmp_path / "unwritable"
    folder.mkdir(mode=0o500)
    yield folder
    folder.chmod(0o700)


def test_a_folder_without_the_right_to_write_is_refused(export: Export, unwritable: Path) -> None:
    places = {
        "PIPEFY_USAGE__SNAPSHOTS__PATH": f"{unwritable}/a/b",
        "PIPEFY_USAGE__DATABASE__URL": f"sqlite:///{unwritable}/usage.db",
    }
    wiring = build_wiring(export.config, places, export.folder)

    with pytest.raises(ConfigurationError) as refused:
        require_writable(wiring)

    mend = f"{unwritable} cannot be written by this user; name another folder, or change its rights"
    assert str(refused.value).splitlines() == [
        f"{export.config}: snapshots.path: {mend}",
        f"{export.config}: database: {mend}",
    ]


def test_a_name_that_no_file_can_have_is_no_reason_to_crash(export: Export, tmp_path: Path) -> None:
    wiring = build_wiring(
        export.config, {"PIPEFY_USAGE__DATABASE__URL": f"sqlite:///{'x' * 300}/u.db"}, tmp_path
    )

    with pytest.raises(ConfigurationError, match="does not exist; make it, or name another place"):
        require_writable(wiring)


def test_the_organizations_of_the_command_line_are_read_kindly() -> None:
    named = selected_organizations([" 300123456", "8F14E45F-CEEA-4D1B-9C5A-0F3F2F6A7B11", "300123456"])

    assert named == ("300123456", "8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11")


def test_an_organization_is_known_however_its_uuid_is_written() -> None:
    written = ["8F14E45FCEEA4D1B9C5A0F3F2F6A7B11", " 8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11 ", "300123456"]

    assert selected_organizations(written) == ("8f14e45f-ceea-4d1b-9c5a-0f3f2f6a7b11", "300123456")


def test_what_is_neither_a_number_nor_a_uuid_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--organization: 'Acme Ltd' is neither"):
        selected_organizations(["Acme Ltd"])
