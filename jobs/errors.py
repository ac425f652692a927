"""What can go wrong in a run, grouped by what to do next.

UsageExportError
├── ConfigurationError       mend the configuration; nothing was touched
├── CredentialsError         mend an account's credentials, or its rights
├── RunInterruptedError      the run was asked to stop: the next one goes on
└── OrganizationError        one organization and period failed, the rest went on: see its code
"""


class UsageExportError(Exception):
    """Anything that this program raises on purpose; its message says where, what and how to mend it."""


class ConfigurationError(UsageExportError):
    """The configuration cannot be used. One line for each thing to mend."""


class CredentialsError(UsageExportError):
    """Pipefy does not accept an account's credentials, also after asking for a new token."""


class RunInterruptedError(UsageExportError):
    """The run was asked to stop, and did after the batch in hand; what it stored stays."""


class OrganizationError(UsageExportError):
    """Pipefy gave no usable answer for one organization and period.

    Attributes:
        code: Pipefy's code (``PERMISSION_DENIED``) or one of ours (``INVALID_ANSWER``, ``UNREACHABLE``, ...).
        correlation_id: What Pipefy's support asks for, where the answer had one.
    """

    def __init__(self, message: str, *, code: str, correlation_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.correlation_id = correlation_id
