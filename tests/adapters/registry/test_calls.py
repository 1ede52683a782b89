"""Each documented call, once for real, against the simulated registry."""

from __future__ import annotations

import hashlib
from itertools import count

import pytest

from adapters.registry import RegistryClient
from filters.registry.daily_file import DailyFileReader
from filters.registry.error_codes import ERROR_RULES, Advice
from filters.registry.failures import Failure, Limited, Refused, ServerFault
from filters.registry.values import (
    Added,
    BulkAccepted,
    BulkState,
    ChangesPage,
    ChangesSource,
    ConsentToAdd,
    Movement,
    MultiStatus,
    Page,
    Place,
    PushConnection,
    RegistryBrand,
    RetailerToAdd,
    StoredConsent,
    Subscription,
)
from filters.registry.words import render_day
from filters.vocabulary import Channel, RecipientType, Status
from tests.support.simulated_registry import SimulatedRegistry

BRAND = RegistryBrand(600123, 600123)
OUTLET = RegistryBrand(600123, 600124)
PERSON = RecipientType.INDIVIDUAL
_numbers = count(1)


def new_address() -> str:
    return f"kisi{next(_numbers)}@shop.example"


def approval(registry: SimulatedRegistry, recipient: str | None = None, ago_s: int = 60) -> ConsentToAdd:
    at = int(registry.now()) - ago_s
    return ConsentToAdd(recipient or new_address(), Channel.EMAIL, PERSON, Status.APPROVED, at, "HS_WEB")


async def stored(client: RegistryClient, consent: ConsentToAdd, brand: RegistryBrand = BRAND) -> Added:
    added = await client.add(brand, consent)
    assert isinstance(added, Added), added
    return added


async def test_brands_and_subscription_are_read(client: RegistryClient) -> None:
    """A provider sees its brands and its contract."""
    brands = await client.brands(600123)
    assert not isinstance(brands, Failure)
    assert {brand.brand_code for brand in brands} == {600123, 600124}
    assert [brand.brand_code for brand in brands if brand.is_master] == [600123]
    subscription = await client.subscription(600123)
    assert isinstance(subscription, Subscription)
    assert subscription.is_active
    assert subscription.subscription_id


async def test_a_partner_sees_the_brands_it_may_act_for(partner: RegistryClient) -> None:
    """All of them, and those of one provider; of its own contract it does not see the limits."""
    page = await partner.partner_brands(900001, 0, 100)
    assert isinstance(page, Page)
    assert [(brand.iys_code, brand.brand_code) for brand in page.items] == [BRAND]
    assert page.items[0].rights == dict.fromkeys(Channel, "write")
    assert isinstance(await partner.partner_brands_of(900001, 600123), Page)
    contract = await partner.partner_subscription(900001)
    assert isinstance(contract, Subscription)
    assert (contract.is_active, contract.iys_code, contract.consent_limit) == (True, 900001, None)


async def test_a_partner_writes_for_the_brand_it_may_and_no_other(
    registry: SimulatedRegistry, partner: RegistryClient
) -> None:
    """Another brand is refused as not its own."""
    await stored(partner, approval(registry))
    refused = await partner.add(OUTLET, approval(registry))
    assert isinstance(refused, Refused)
    assert (refused.status, refused.codes, refused.advice) == (403, ("H353",), Advice.MEND_ACCOUNT)


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_consent_is_added_and_found(registry: SimulatedRegistry, client: RegistryClient, version: str) -> None:
    """By either version; the status says what was stored, to the second."""
    consent = approval(registry)
    added = await (client.add if version == "v2" else client.add_v1)(BRAND, consent)
    assert isinstance(added, Added)
    found = await client.status(BRAND, consent.subject)
    assert isinstance(found, StoredConsent)
    assert (found.status, found.source, found.consent_at) == (Status.APPROVED, "HS_WEB", consent.consent_at)
    assert found.transaction_id == added.transaction_id
    assert found.retailer_access_count == 0


async def test_only_the_second_version_recognises_a_repeat(registry: SimulatedRegistry, client: RegistryClient) -> None:
    """The same transaction comes back; the first version refuses a repeated refusal."""
    consent = approval(registry)
    assert (await stored(client, consent)).transaction_id == (await stored(client, consent)).transaction_id
    refusal = consent._replace(status=Status.REJECTED, consent_at=(consent.consent_at or 0) + 5)
    assert isinstance(await client.add_v1(BRAND, refusal), Added)
    again = await client.add_v1(BRAND, refusal)
    assert isinstance(again, Refused)
    assert again.advice is Advice.TAKE_AS_DONE


async def test_answers_about_state_carry_their_advice(registry: SimulatedRegistry, client: RegistryClient) -> None:
    """A first refusal keeps our veto; an older one asks us to read again."""
    refusal = approval(registry)._replace(status=Status.REJECTED)
    first = await client.add(BRAND, refusal)
    assert isinstance(first, Refused)
    assert first.advice is Advice.KEEP_VETO
    consent = approval(registry)
    await stored(client, consent)
    older = await client.add(BRAND, consent._replace(consent_at=(consent.consent_at or 0) - 600))
    assert isinstance(older, Refused)
    assert older.advice is Advice.READ_AGAIN


@pytest.mark.parametrize("is_404", [False, True])
async def test_no_record_is_none_however_the_registry_says_it(
    registry: SimulatedRegistry, client: RegistryClient, is_404: bool
) -> None:
    """As 404 and as an empty object."""
    registry.set(is_unknown_status_404=is_404)
    assert await client.status(BRAND, approval(registry).subject) is None


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_bulk_request_is_taken_and_later_tells_of_each_item(
    registry: SimulatedRegistry, client: RegistryClient, version: str
) -> None:
    """A first refusal fails alone; the rest is stored; ids lead from request to result."""
    items = [approval(registry), approval(registry)._replace(status=Status.REJECTED), approval(registry)]
    is_v2 = version == "v2"
    taken = await (client.bulk_add if is_v2 else client.bulk_add_v1)(BRAND, items)
    assert isinstance(taken, BulkAccepted)
    ask = client.bulk_result if is_v2 else client.bulk_result_v1
    early = await ask(BRAND, taken.request_id)
    assert not isinstance(early, Failure)
    assert not early.is_complete
    registry.advance(600)
    result = await ask(BRAND, taken.request_id)
    assert not isinstance(result, Failure)
    assert result.is_complete
    by_id = {item.sub_request_id: item for item in result.items}
    assert [by_id[item.sub_request_id].state for item in taken.items] == [
        BulkState.STORED,
        BulkState.FAILED,
        BulkState.STORED,
    ]
    failed = by_id[taken.items[1].sub_request_id]
    assert failed.error is not None
    assert failed.error.code == "H175"


async def test_a_bulk_request_is_refused_whole_with_the_place_of_what_is_wrong(
    registry: SimulatedRegistry, client: RegistryClient
) -> None:
    """An item too old for the three business days names itself; nothing of the list is stored."""
    good = approval(registry)
    refused = await client.bulk_add(BRAND, [good, approval(registry, ago_s=30 * 86400)])
    assert isinstance(refused, Refused)
    assert refused.status == 422
    assert (refused.codes_of(0), refused.codes_of(1)) == ((), ("H467",))
    assert await client.status(BRAND, good.subject) is None


async def test_multi_status_names_those_with_consent_only(registry: SimulatedRegistry, client: RegistryClient) -> None:
    """Refusal and no record are alike absent."""
    yes, no, unknown = approval(registry), approval(registry), approval(registry)
    await stored(client, yes)
    await stored(client, no)
    await stored(client, no._replace(status=Status.REJECTED, consent_at=(no.consent_at or 0) + 5))
    recipients = [yes.recipient, no.recipient, unknown.recipient]
    found = await client.multi_status(BRAND, Channel.EMAIL, PERSON, recipients)
    assert isinstance(found, MultiStatus)
    assert found.approved == {yes.recipient}


async def test_a_consent_of_one_brand_says_nothing_of_another(
    registry: SimulatedRegistry, client: RegistryClient
) -> None:
    """Brand and sub-brand of one provider are asked apart."""
    consent = approval(registry)
    await stored(client, consent)
    assert await client.status(OUTLET, consent.subject) is None


async def test_history_is_newest_first(registry: SimulatedRegistry, client: RegistryClient) -> None:
    """Both movements, with the count of all."""
    consent = approval(registry)
    await stored(client, consent)
    registry.advance(2)
    await stored(client, consent._replace(status=Status.REJECTED, consent_at=(consent.consent_at or 0) + 5))
    page = await client.history(BRAND, consent.subject)
    assert isinstance(page, Page)
    assert [movement.status for movement in page.items] == [Status.REJECTED, Status.APPROVED]
    assert page.total == 2


async def test_changes_are_read_page_by_page_an_hour_later(registry: SimulatedRegistry, client: RegistryClient) -> None:
    """Our own by one source, the citizen's by the other; the cursor leads on and ends with nothing."""
    consents = [approval(registry) for _ in range(5)]
    for consent in consents:
        await stored(client, consent, OUTLET)
    registry.control(
        "POST",
        "movements",
        [
            {
                "brandCode": 600124,
                "recipient": consents[0].recipient,
                "type": "EPOSTA",
                "status": "RET",
                "source": "IYS_WEB",
            }
        ],
    )
    registry.advance(3700)
    seen: list[Movement] = []
    after = None
    while True:
        page = await client.changes(OUTLET, ChangesSource.PROVIDER, after, 2)
        assert isinstance(page, ChangesPage)
        if not page.size:
            break
        assert page.unread == ()
        seen += page.movements
        after = page.after
    ours = [consent.recipient for consent in consents]
    assert sorted(each.subject.recipient for each in seen if each.subject.recipient in ours) == sorted(ours)
    created = [each.created_at or 0 for each in seen]
    assert created == sorted(created)
    citizens = await client.changes(OUTLET, ChangesSource.REGISTRY)
    assert isinstance(citizens, ChangesPage)
    assert [(movement.subject.recipient, movement.source) for movement in citizens.movements] == [
        (consents[0].recipient, "IYS_WEB")
    ]


async def test_push_connections_are_refused_where_nobody_answers(client: RegistryClient) -> None:
    """The registry tries the address at once; the list and the end of what is not there are answered too."""
    connection = PushConnection("https://127.0.0.1:9/push", Channel.EMAIL, "user", "word")
    refused = await client.register_push(BRAND, [connection])
    assert isinstance(refused, Refused)
    assert refused.codes == ("H530",)
    assert await client.push_registrations(BRAND) == ()
    unknown = await client.unregister_push(BRAND, connection)
    assert unknown is None or isinstance(unknown, Refused)


async def test_opt_out_links_are_given_to_those_with_consent(
    registry: SimulatedRegistry, client: RegistryClient
) -> None:
    """The other gets a code instead."""
    yes = approval(registry)
    await stored(client, yes)
    links = await client.opt_out_links(BRAND, [yes.recipient, new_address()], PERSON)
    assert not isinstance(links, Failure)
    assert [(link.url is not None, link.code) for link in links] == [(True, ""), (False, "H568")]


async def test_a_day_is_reconciled_from_summary_to_time_stamp(
    registry: SimulatedRegistry, client: RegistryClient
) -> None:
    """Counts, hash and file agree with each other; the day is agreed on and stays so."""
    consent = approval(registry)
    await stored(client, consent, OUTLET)
    day = render_day(int(registry.now()))
    registry.advance(2 * 86400)
    stats = await client.reconciliation_summary(OUTLET, day, PERSON)
    assert not isinstance(stats, Failure)
    assert sum(stat.total for stat in stats if stat.channel is Channel.EMAIL and stat.source == "HS") >= 1
    info = await client.reconciliation_info(OUTLET, day)
    assert info is not None
    assert not isinstance(info, Failure)
    assert info.is_ready
    blocks: list[bytes] = []
    assert await client.reconciliation_file(OUTLET, day, blocks.append) is True
    file = b"".join(blocks)
    assert hashlib.sha384(file).hexdigest() == info.hash_value
    reader = DailyFileReader()
    movements = reader.feed(file) + reader.finish()
    assert consent.recipient in {movement.subject.recipient for movement in movements}
    assert await client.reconciliation_save(OUTLET, day) is True
    agreed = await client.reconciliation_info(OUTLET, day)
    assert agreed is not None
    assert not isinstance(agreed, Failure)
    assert agreed.is_agreed
    assert isinstance(await client.reconciliation_time_stamp(OUTLET, day), bytes)


async def test_a_day_without_movement_has_nothing(registry: SimulatedRegistry, client: RegistryClient) -> None:
    """No file, no stamp, nothing to agree on; a day out of range is refused."""
    registry.advance(3 * 86400)
    day = render_day(int(registry.now()) - 86400)
    assert await client.reconciliation_info(OUTLET, day) is None
    assert await client.reconciliation_file(OUTLET, day, bytearray().extend) is False
    assert await client.reconciliation_time_stamp(OUTLET, day) is None
    assert await client.reconciliation_save(OUTLET, day) is False
    late = await client.reconciliation_info(OUTLET, render_day(int(registry.now()) - 20 * 86400))
    assert isinstance(late, Refused)
    assert late.codes == ("H502",)


async def test_a_dealer_lives_from_registration_to_removal(client: RegistryClient) -> None:
    """Added, listed, asked for, removed."""
    city, town = await client.city(77), await client.towns()
    assert isinstance(city, Place)
    assert not isinstance(town, Failure)
    its_town = next(each for each in town if each.city_code == 77)
    code = await client.add_retailer(
        BRAND, RetailerToAdd("Bayi A.Ş.", "Bayi", "10000000146", "1234567890", city, its_town)
    )
    assert isinstance(code, int), code
    page = await client.retailers(BRAND, is_all=True, is_short=True)
    assert isinstance(page, Page)
    assert code in {retailer.retailer_code for retailer in page.items}
    one = await client.retailer(BRAND, code)
    assert not isinstance(one, Failure)
    assert (one.title, one.city) == ("Bayi A.Ş.", city.name)
    assert await client.delete_retailer(BRAND, code) is None
    gone = await client.retailer(BRAND, code)
    assert isinstance(gone, Refused)
    assert gone.codes == ("H058",)


async def test_dealers_get_and_lose_access_to_consents(registry: SimulatedRegistry, client: RegistryClient) -> None:
    """Add, list, set, remove, remove all."""
    place = Place(34, "İstanbul")
    codes = []
    for tckn, tin in (("10000000146", "1234567891"), ("10000000214", "1234567892")):
        code = await client.add_retailer(BRAND, RetailerToAdd("B", "B", tckn, tin, place, Place(1, "Adalar")))
        assert isinstance(code, int), code
        codes.append(code)
    consent = approval(registry)
    await stored(client, consent)

    async def who() -> set[int]:
        page = await client.access(BRAND, consent.subject)
        assert isinstance(page, Page)
        return {retailer.retailer_code for retailer in page.items}

    many = (BRAND, Channel.EMAIL, PERSON, [consent.recipient])
    assert isinstance(await client.add_access(BRAND, consent.subject, codes[:1]), Added)
    assert await who() == {codes[0]}
    assert await client.set_access(*many, codes) is None
    registry.advance(60)
    assert await who() == set(codes)
    assert await client.remove_access(*many, codes[:1]) is None
    registry.advance(60)
    assert await who() == {codes[1]}
    assert await client.remove_all_access(*many) is None
    registry.advance(60)
    assert await who() == set()
    unknown = await client.add_access(BRAND, approval(registry).subject, codes[:1])
    assert isinstance(unknown, Refused)
    assert unknown.codes == ("H401",)


async def test_cities_and_towns_are_listed(client: RegistryClient) -> None:
    """And None for a code nobody has."""
    cities = await client.cities()
    assert not isinstance(cities, Failure)
    assert Place(34, "İstanbul") in [place._replace(city_code=None) for place in cities]
    assert isinstance(await client.town(940), Place)
    assert await client.city(9999) is None


async def test_every_code_the_registry_can_answer_comes_home_with_its_advice(
    registry: SimulatedRegistry, client: RegistryClient
) -> None:
    """Provoked one by one on the wire: 4xx as refusals with the table's advice, 429 as limits, 5xx as server faults."""
    assert not isinstance(await client.brands(600123), Failure)
    for code, rule in ERROR_RULES.items():
        if code == "H568" or 429 in rule.statuses:
            continue  # no error answer; and those with a test of their own
        # A 401 is answered twice, as the client asks again with another token.
        registry.fault("code", code=code, count=2 if 401 in rule.statuses else 1, path="/subscription")
        result = await client.subscription(600123)
        if rule.statuses[0] >= 500:
            assert isinstance(result, ServerFault), code
            assert result.codes == (code,)
            assert (result.advice, result.pause_s) == (Advice.RESEND, rule.pause_s)
        else:
            assert isinstance(result, Refused), code
            assert result.codes == (code,)
            assert (result.advice, result.pause_s) == (rule.advice, rule.pause_s)
        registry.control("DELETE", "limits")


@pytest.mark.parametrize("code", [code for code, rule in ERROR_RULES.items() if 429 in rule.statuses])
async def test_a_limit_answered_by_the_registry_keeps_the_next_request_back(
    registry: SimulatedRegistry, client: RegistryClient, code: str
) -> None:
    """Whatever other users of the address did: the next request of that kind is not sent before the pause is over."""
    registry.fault("code", code=code, count=1, path="/consents/")
    subject = approval(registry).subject
    ask = client.history if code == "H089" else client.status
    limited = await ask(BRAND, subject)
    assert isinstance(limited, Limited)
    assert limited.code == code
    assert limited.pause_s >= ERROR_RULES[code].pause_s
    sent = registry.traffic()["total"]
    if code in ("H086", "H089"):
        assert isinstance(await ask(BRAND, subject), Limited)
        assert registry.traffic()["total"] == sent
        assert not isinstance(await client.brands(600123), Failure)
