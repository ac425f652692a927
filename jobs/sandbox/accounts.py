"""Accounts: sets of credentials, and what each may see."""

from collections.abc import Iterable
from dataclasses import dataclass, field

DEFAULT_CLIENT_ID = "sandbox-client"
DEFAULT_CLIENT_SECRET = "sandbox-secret"  # noqa: S105 it opens nothing but the sandbox, for anyone

# The documentation asks for one of these to read usage statistics.
READING_ROLES = frozenset({"admin", "super_admin"})


@dataclass(frozen=True)
class Account:
    """A service account.

    Attributes:
        client_id: What it names itself with.
        client_secret: What it proves itself with.
        roles: Its role in each organization it belongs to, by UUID; changes while the sandbox runs.
    """

    client_id: str
    client_secret: str = field(repr=False)
    roles: dict[str, str]

    def may_read(self, organization_uuid: str) -> bool:
        """Whether the role in that organization allows its usage statistics to be read."""
        return self.roles.get(organization_uuid) in READING_ROLES

    def belongs_to(self, organization_uuid: str) -> bool:
        """Whether there is any role in that organization."""
        return organization_uuid in self.roles


def account_with(
    client_id: str, client_secret: str, organization_uuids: Iterable[str], role: str = "admin"
) -> Account:
    """Return an account that has the same role in several organizations."""
    return Account(client_id, client_secret, dict.fromkeys(organization_uuids, role))
