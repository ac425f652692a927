"""Faults that the sandbox can be told to have; `Sandbox.inject` switches them on."""

from jobs.sandbox.faults.answers import (
    JsonAnswer,
    RawAnswer,
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
    SlowHeaders,
)
from jobs.sandbox.faults.errors import ErrorItems, FailedAliases, LostAnswer, error_shapes
from jobs.sandbox.faults.fault import Fault
from jobs.sandbox.faults.named import named_faults

__all__ = [
    "ConnectionReset",
    "CutOff",
    "EndlessBody",
    "ErrorItems",
    "FailedAliases",
    "Fault",
    "GzipBomb",
    "Hang",
    "InvalidJson",
    "InvalidUtf8",
    "JsonAnswer",
    "LostAnswer",
    "RawAnswer",
    "RedirectToSignIn",
    "SignInPage",
    "SlowBody",
    "SlowHeaders",
    "StatusAnswer",
    "TooManyRequests",
    "Unauthorized",
    "error_shapes",
    "named_faults",
]
