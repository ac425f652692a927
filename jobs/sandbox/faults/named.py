"""Faults by the names that the command line gives them."""

from jobs.sandbox.faults.answers import (
    RedirectToSignIn,
    SignInPage,
    StatusAnswer,
    TooManyRequests,
    Unauthorized,
)
from jobs.sandbox.faults.deliveries import (
    ConnectionReset,
    CutOff,
    EndlessBody,
    GzipBomb,
    Hang,
    InvalidJson,
    InvalidUtf8,
    SlowBody,
)
from jobs.sandbox.faults.errors import FailedAliases, error_shapes
from jobs.sandbox.faults.fault import Fault

# Longer than any answer that a client waits for.
_HANG_SECONDS = 3600.0


def named_faults() -> dict[str, Fault]:
    """Every fault that can be asked for by name; ``shape-…`` are the error shapes of Pipefy's API."""
    return {
        "429": TooManyRequests(),
        "429-retry-after": TooManyRequests(retry_after_seconds=5),
        "500": StatusAnswer(500),
        "502": StatusAnswer(502),
        "503": StatusAnswer(503),
        "504": StatusAnswer(504),
        "401": Unauthorized(),
        "html": SignInPage(),
        "redirect": RedirectToSignIn(),
        "hang": Hang(_HANG_SECONDS),
        "slow": SlowBody(0.5),
        "reset": ConnectionReset(),
        "cut-off": CutOff(),
        "endless": EndlessBody(),
        "gzip-bomb": GzipBomb(),
        "bad-json": InvalidJson(),
        "bad-utf8": InvalidUtf8(),
        "internal-error": FailedAliases(),
        **{f"shape-{name}": fault for name, fault in error_shapes().items()},
    }
