"""Access tokens: given out, found again, expired, revoked."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from jobs.sandbox.accounts import Account

# Pipefy's documentation lets a service account's tokens live 5 minutes to 30 days.
LONGEST_LIFE_SECONDS = 30 * 24 * 60 * 60


@dataclass(frozen=True)
class Token:
    """A bearer token.

    Attributes:
        text: What the client sends.
        identity: What may be written down in its place: the account and a running number.
        account: Whose it is.
        expires_at: The reading of the monotonic clock from which it is refused.
    """

    text: str
    identity: str
    account: Account
    expires_at: float


class TokenOffice:
    """Gives out tokens and knows them again.

    Args:
        seed: Other seeds give other tokens; the same seed gives the same, in order.
        monotonic: The clock that tokens expire by, in seconds.
    """

    def __init__(self, seed: int, monotonic: Callable[[], float]) -> None:
        self._seed = seed
        self._monotonic = monotonic
        self._tokens: dict[str, Token] = {}
        self._issued = 0

    def issue(self, account: Account, life_seconds: float) -> Token:
        """Give out a new token; the older ones of the account stay good."""
        self._issued += 1
        text = blake2b(f"{self._seed}:token:{self._issued}".encode(), digest_size=32).hexdigest()
        identity = f"{account.client_id}#{self._issued}"
        token = Token(text, identity, account, self._monotonic() + life_seconds)
        self._tokens[text] = token
        return token

    def find(self, text: str) -> Token | None:
        """Return the token if it is known and good."""
        token = self._tokens.get(text)
        return token if token and self._monotonic() < token.expires_at else None

    def identity(self, text: str) -> str:
        """Return what may be written down of a token, good or not."""
        token = self._tokens.get(text)
        return token.identity if token else "unknown"

    def revoke_all(self) -> None:
        """Refuse every token given out so far."""
        for text, token in list(self._tokens.items()):
            self._tokens[text] = Token(text, token.identity, token.account, float("-inf"))
