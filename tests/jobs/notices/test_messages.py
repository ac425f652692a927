"""Messages, taken by a real server through Apprise's own address for it."""

import json
import sys

import pytest
from structlog.testing import capture_logs

from jobs.errors import ConfigurationError
from jobs.notices.messages import Messages
from tests.jobs.notices.conftest import Listener

SECRET = "pass-word"

# Apprise looks for a module that Python 3.13 no longer has.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def test_a_message_reaches_every_address(listener: Listener) -> None:
    addresses = [f"json://user:{SECRET}@{listener.address}/{path}" for path in ("one", "two")]

    assert Messages(addresses).send("The export failed", "café: no answer") is True

    assert sorted(path for path, _ in listener.posts) == ["/one", "/two"]
    told = json.loads(listener.posts[0][1])
    assert (told["title"], told["message"]) == ("The export failed", "café: no answer")


def test_a_message_that_is_refused_is_told_in_the_log_without_the_address(
    listener: Listener, capfd: pytest.CaptureFixture[str]
) -> None:
    listener.status = 500

    with capture_logs() as logs:
        assert Messages([f"json://user:{SECRET}@{listener.address}"]).send("The title", "body") is False

    assert logs == [{"event": "notices.message_failed", "log_level": "warning", "title": "The title"}]
    assert SECRET not in "".join(capfd.readouterr())


def test_one_address_that_fails_keeps_no_other_from_the_message(listener: Listener) -> None:
    messages = Messages(["json://127.0.0.1:9/nobody", f"json://{listener.address}/somebody"])

    assert messages.send("title", "body") is False

    assert [path for path, _ in listener.posts] == ["/somebody"]


@pytest.mark.parametrize("address", [f"nonsense://{SECRET}", SECRET, f"slack://{SECRET}", "://"])
def test_an_address_that_cannot_be_read_is_named_by_its_number_and_never_shown(
    address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigurationError, match="address 2 of 2 is none that Apprise knows") as refused:
        Messages(["json://127.0.0.1:9/nobody", address])

    assert SECRET not in f"{refused.value!r} {refused.value.__cause__!r}"
    assert SECRET not in "".join(capfd.readouterr())


def test_without_an_address_nobody_is_told() -> None:
    assert Messages([]).send("title", "body") is None


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'pipefy-usage-export\[alerts\]'"):
        Messages(["json://127.0.0.1:9/nobody"])
