"""Who follows the advice of failures loses nothing and doubles nothing, whatever the registry and the way do."""

from __future__ import annotations

from adapters.registry import Credentials, Patience
from filters.registry.error_codes import Advice
from filters.registry.failures import Failure
from filters.registry.limits import Limits
from filters.registry.values import BulkState, ConsentToAdd, Page, RegistryBrand, StoredConsent
from filters.vocabulary import Channel, RecipientType, Status
from tests.adapters.registry.conftest import PASSWORD, USERNAME, MakeAddress
from tests.support.simulated_registry import SimulatedRegistry

BRAND = RegistryBrand(600123, 600123)
WEATHER = [
    {"kind": "cut", "rate": 0.05},
    {"kind": "cut-after", "rate": 0.05},
    {"kind": "half", "rate": 0.05},
    {"kind": "code", "code": "H124", "rate": 0.05},
    {"kind": "code", "code": "H123", "rate": 0.05},
    {"kind": "code", "code": "H015", "rate": 0.05},
    {"kind": "maintenance", "rate": 0.05},
    {"kind": "garbage", "rate": 0.05},
    {"kind": "expired", "rate": 0.05},
]


def consents_of(registry: SimulatedRegistry, name: str, amount: int) -> list[ConsentToAdd]:
    at = int(registry.now()) - 60
    return [
        ConsentToAdd(
            f"{name}{number}@shop.example", Channel.EMAIL, RecipientType.INDIVIDUAL, Status.APPROVED, at, "HS_WEB"
        )
        for number in range(amount)
    ]


async def test_following_the_advice_stores_each_consent_exactly_once(
    registry: SimulatedRegistry, make_address: MakeAddress
) -> None:
    """Both versions, through cuts, half answers, limits, faults and revoked tokens; the clock moves by the pauses."""
    registry.set(requests_per_second=100_000)
    client = make_address(
        limits=Limits(per_second=100_000, history_per_hour=100_000), patience=Patience(answer_s=2, turn_s=1)
    ).client(Credentials(USERNAME, PASSWORD))
    registry.control("PUT", "faults", {"seed": 7, "faults": WEATHER})
    consents = consents_of(registry, "wetter", 40)
    tries = 0
    for number, consent in enumerate(consents):
        is_done = False
        while not is_done:
            tries += 1
            assert tries < 400
            result = await (client.add if number % 2 else client.add_v1)(BRAND, consent)
            if not isinstance(result, Failure):
                break
            while result.advice is Advice.CHECK_FIRST:
                registry.advance(result.pause_s)
                found = await client.status(BRAND, consent.subject)
                if isinstance(found, Failure):
                    registry.advance(found.pause_s)
                    continue
                is_done = isinstance(found, StoredConsent)
                break
            else:
                assert result.advice is Advice.RESEND, result
                registry.advance(result.pause_s)
    assert tries > len(consents)
    registry.control("DELETE", "faults")
    registry.advance(3700)
    for consent in consents:
        history = await client.history(BRAND, consent.subject)
        assert isinstance(history, Page), history
        assert history.total == 1
    assert registry.breaches() == []


async def test_a_bulk_request_repeated_through_faults_stores_once(
    registry: SimulatedRegistry, make_address: MakeAddress
) -> None:
    """The second version points repeats at the original; every item ends stored."""
    registry.set(requests_per_second=100_000)
    client = make_address(limits=Limits(per_second=100_000)).client(Credentials(USERNAME, PASSWORD))
    consents = consents_of(registry, "liste", 50)
    registry.control(
        "PUT", "faults", {"faults": [{"kind": "cut-after", "count": 2, "path": "/consents/request", "method": "POST"}]}
    )
    taken = await client.bulk_add(BRAND, consents)
    while isinstance(taken, Failure):
        assert taken.advice is Advice.RESEND
        registry.advance(taken.pause_s)
        taken = await client.bulk_add(BRAND, consents)
    registry.advance(600)
    result = await client.bulk_result(BRAND, taken.request_id)
    assert not isinstance(result, Failure)
    assert [item.state for item in result.items] == [BulkState.STORED] * 50
    assert all(item.is_repeat for item in result.items)
    history = await client.history(BRAND, consents[0].subject)
    assert isinstance(history, Page)
    assert history.total == 1
