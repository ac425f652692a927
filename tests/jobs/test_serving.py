"""What scheduled runs work with, wired from a configuration."""

import pytest

from jobs.errors import ConfigurationError
from jobs.serving import build_setup
from tests.exporting import Export

# Apprise looks for a module that Python 3.13 no longer has.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def test_without_notices_nobody_is_told(sqlite_export: Export) -> None:
    setup = build_setup(sqlite_export.config, sqlite_export.secrets, sqlite_export.folder)

    assert setup.pings.start("run-1") is None
    assert setup.messages.send("title", "body") is None
    assert set(setup.credentials) == {"main"}
    assert setup.schedule.name == "15 5 * * * UTC"


def test_notices_go_where_the_secrets_say(sqlite_export: Export) -> None:
    sqlite_export.extra = '[notices]\nping_url_env = "PING"\nurls_env = "PEOPLE"'
    sqlite_export.environ = {"PING": "http://127.0.0.1:9/ping", "PEOPLE": "json://127.0.0.1:9 json://[::1]:9"}

    setup = build_setup(sqlite_export.config, sqlite_export.secrets, sqlite_export.folder)

    # Nobody listens there.
    assert setup.pings.start("run-1") is False
    assert setup.messages.send("title", "body") is False


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [({}, "names the variable PEOPLE, which is not set"), ({"PEOPLE": "nonsense"}, "address 1 of 1")],
)
def test_notices_that_cannot_be_sent_are_errors_of_the_configuration(
    sqlite_export: Export, environ: dict[str, str], complaint: str
) -> None:
    sqlite_export.extra = '[notices]\nurls_env = "PEOPLE"'
    sqlite_export.environ = environ

    with pytest.raises(ConfigurationError, match=complaint):
        build_setup(sqlite_export.config, sqlite_export.secrets, sqlite_export.folder)


def test_snapshots_that_could_not_be_written_are_found_before_the_first_run(sqlite_export: Export) -> None:
    (sqlite_export.folder / "snapshots").write_text("a file where a folder belongs")

    with pytest.raises(ConfigurationError, match=r"snapshots\.path: .* is no folder"):
        build_setup(sqlite_export.config, sqlite_export.secrets, sqlite_export.folder)
