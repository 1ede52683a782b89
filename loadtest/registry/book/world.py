"""Who has an account: providers with brands and a subscription, partners with rights, users."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from loadtest.registry.book.database import Database

DEFAULT_USERNAME = "kullanici@shop.example"
PASSWORD_VARIABLE = "IZINKAPI_SIMULATED_REGISTRY_PASSWORD"
DEFAULT_PASSWORD = "sandbox-parola"


@dataclass
class Subscription:
    """``status``: ACTIVE, PAUSED, EXPIRED or CLOSED. ``has_api``: the package includes the API at all (H586)."""

    status: str = "ACTIVE"
    consent_limit: int = 100_000_000
    is_exceeding_allowed: bool = True
    has_api: bool = True
    has_via: bool = True
    name: str = "Kurumsal"


@dataclass
class Brand:
    """A brand, with the provider that owns it."""

    code: int
    iys_code: int
    name: str


@dataclass
class Provider:
    """``activated_at``: from then on consents must be fresh; None: history may still be loaded."""

    iys_code: int
    name: str
    subscription: Subscription | None = field(default_factory=Subscription)
    activated_at: float | None = 0.0


@dataclass
class Right:
    """What a partner may do for one brand; ``channels`` are those it may write and read."""

    brand: int
    channels: list[str] = field(default_factory=lambda: ["ARAMA", "MESAJ", "EPOSTA"])
    has_agreement_control: bool = True
    has_via_control: bool = True


@dataclass
class User:
    """``role``: provider, partner (with ``integrator_code``) or admin, who cannot log in here."""

    username: str
    password: str
    role: str = "provider"
    iys_code: int = 0
    integrator_code: int = 0
    rights: list[Right] = field(default_factory=list)


class World:
    """All accounts; kept as one document, as there are few."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.providers: dict[int, Provider] = {}
        self.brands: dict[int, Brand] = {}
        self.users: dict[str, User] = {}
        document = database.read("world")
        self.load(document if isinstance(document, dict) else default_world())

    def load(self, document: dict[str, Any]) -> None:
        """Replace everything. Raises ``TypeError``, ``KeyError`` or ``AttributeError`` if it is not such a document."""
        providers = {}
        for each in document["providers"]:
            values = dict(each)
            if values.get("subscription") is not None:
                values["subscription"] = Subscription(**values["subscription"])
            providers[each["iys_code"]] = Provider(**values)
        brands = {each["code"]: Brand(**each) for each in document["brands"]}
        users = {}
        for each in document["users"]:
            rights = [Right(**right) for right in each.get("rights", ())]
            users[each["username"]] = User(**{**each, "rights": rights})
        self.providers, self.brands, self.users = providers, brands, users
        self.save()

    def render(self) -> dict[str, Any]:
        return {
            "providers": [asdict(each) for each in self.providers.values()],
            "brands": [asdict(each) for each in self.brands.values()],
            "users": [asdict(each) for each in self.users.values()],
        }

    def save(self) -> None:
        self._database.write("world", self.render())

    def brands_of(self, user: User) -> list[int]:
        """Codes that go into the user's token."""
        if user.role == "partner":
            return [right.brand for right in user.rights]
        return [brand.code for brand in self.brands.values() if brand.iys_code == user.iys_code]


def make_world(brands: list[tuple[int, int, str]], username: str, password: str) -> dict[str, Any]:
    """A document for ``load``: ``brands`` as (brandCode, iysCode, name), one user for each provider.

    The user of the first provider is ``username``; those of others have the provider's number in front.
    """
    codes = list(dict.fromkeys(iys_code for _, iys_code, _ in brands))
    names = {iys_code: name for _, iys_code, name in reversed(brands)}
    users = [
        asdict(User(username if number == 0 else f"{code}-{username}", password, iys_code=code))
        for number, code in enumerate(codes)
    ]
    return {
        "providers": [asdict(Provider(code, names[code])) for code in codes],
        "brands": [asdict(Brand(*each)) for each in brands],
        "users": users,
    }


def default_world() -> dict[str, Any]:
    """A provider with two brands, a second one whose codes are not the first one's, and a partner of the first, which
    has a subscription of its own."""
    document = make_world(
        [(600123, 600123, "Örnek Mağaza"), (600124, 600123, "Örnek Outlet"), (700456, 700456, "Başka Mağaza")],
        DEFAULT_USERNAME,
        DEFAULT_PASSWORD,
    )
    partner = User("ortak@partner.example", DEFAULT_PASSWORD, "partner", 900001, 900001, [Right(600123)])
    document["providers"].append(asdict(Provider(900001, "Örnek İş Ortağı")))
    document["users"].append(asdict(partner))
    document["users"].append(asdict(User("yonetici@shop.example", DEFAULT_PASSWORD, "admin")))
    return document
