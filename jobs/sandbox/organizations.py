"""Organizations that the sandbox makes up."""

from dataclasses import dataclass
from hashlib import shake_128
from uuid import UUID

from jobs.sandbox.usage import habits_of

FIRST_ID = 300_123_456
WEEKDAYS_A_MONTH = 22

NAMES = (
    *("Aurora", "Baobá", "Cedro", "Duna", "Estrela", "Farol", "Girassol", "Horizonte", "Ipê", "Jatobá"),
    *("Kite", "Lumen", "Maré", "Norte", "Órbita", "Pampa", "Quartzo", "Raiz", "Serra", "Trilha"),
    *("União", "Vereda", "Willow", "Xisto", "Zênite"),
)
TRADES = (
    *("Alimentos", "Bank", "Construções", "Design", "Educação", "Farma", "Group", "Health", "Imóveis"),
    *("Jurídico", "Logística", "Media", "Net", "Óptica", "People", "Retail", "Saúde", "Tech", "Turismo"),
    *("Varejo", "Viagens"),
)


@dataclass(frozen=True)
class Organization:
    """An organization of Pipefy.

    Attributes:
        id: The numeric id of the app's address, as text.
        uuid: The UUID that the usage query asks for.
        name: Its name, not always ASCII.
        limit: Tasks allowed, or None while no allowance is mapped.
    """

    id: str
    uuid: str
    name: str
    limit: int | None


def made_up_organizations(count: int, seed: int) -> tuple[Organization, ...]:
    """Return the first `count` organizations of a seed; more of them never change the first ones."""
    return tuple(_made_up(number, seed) for number in range(count))


def _made_up(number: int, seed: int) -> Organization:
    noise = shake_128(f"{seed}:organization:{number}".encode()).digest(18)
    organization_uuid = str(UUID(bytes=noise[:16], version=4))
    return Organization(
        id=str(FIRST_ID + 7 * number),
        uuid=organization_uuid,
        name=_name(number),
        limit=_limit(seed, organization_uuid, noise[16], noise[17]),
    )


def _name(number: int) -> str:
    # The steps through the two lists have no common divisor, so pairs repeat late.
    name = f"{NAMES[number % len(NAMES)]} {TRADES[number % len(TRADES)]}"
    repetition = number // (len(NAMES) * len(TRADES))
    return f"{name} {repetition + 1}" if repetition else name


def _limit(seed: int, organization_uuid: str, has_limit: int, generosity: int) -> int | None:
    if has_limit % 5 < 2:  # noqa: PLR2004 two in five have none mapped, which is common at Pipefy too
        return None
    month = habits_of(seed, organization_uuid).weekday_tasks * WEEKDAYS_A_MONTH
    return max(1_000, round(month * (0.9 + generosity / 256), -3).__trunc__())
