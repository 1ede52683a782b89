"""The national registry (İYS), over HTTP: every documented call, one token for all, never over its limits.

How to use it::

    address = RegistryAddress(base_url, records=records_in(directory))   # one per installation
    client = address.client(Credentials(username, password))             # one per account of the registry
    brand = RegistryBrand(iys_code, brand_code)                          # filters.registry.values
    answer = await client.status(brand, ConsentSubject("a@shop.example", Channel.EMAIL, RecipientType.INDIVIDUAL))
    if isinstance(answer, Failure): ...                                  # filters.registry.failures
    await address.close()

**Building.** ``RegistryAddress(base_url, *, records=None, limits=None, patience=None, ca_file=None, observer=None,
clock=time.time)``: https, or http on loopback; else ``RegistrySettingsError``. ``records`` gives a ``SharedRecord`` by
name: ``records_of_this_process()`` (default), ``records_in(directory)`` (all of a machine, survives restarts),
or one of your own over a shared store (two methods, compare and set). ``limits``: ``filters.registry.limits.Limits``.
``patience``: ``Patience(connect_s, answer_s, file_s, turn_s)``. ``observer``: ``call_ended(name, result, seconds)`` for
each request, of closed lists. ``gate``: a ``RateGate(record, limits, clock)`` of your own, where machines that share a
source address are to be counted together (``record`` by ``limits_name(base_url)``).

**Answers.** Each method gives its answer or a ``Failure``; only None, False, an empty page or an empty result are
"nothing". A failure has ``advice`` (``filters.registry.error_codes.Advice``) and ``pause_s``:
``TransportFault(problem, may_be_done)``, ``Limited(retry_after_s, code)``, ``Refused(status, errors)`` with ``codes``
and ``codes_of(place)``, ``ServerFault(status, errors, may_be_done)``, ``Unreadable(status, problem, may_be_done)``,
``LoginRefused(status, code, retry_after_s)``. None of them holds an address, a message of the registry, or a token.
The client itself repeats nothing but a request that got 401, once, with another token.

``filters.registry.values.find_consent(movement_or_stored)`` is the record for the index.

**Before sending** ``UnsendableError`` (a ``ValueError`` with the H ``code`` the registry would give) or ``ValueError``
is raised; ``filters.registry.writing.find_problem(consent, now)`` asks beforehand.

**Priorities.** ``client.with_priority(Priority.BULK)`` is the same client whose requests wait behind all others. By
default refusals go before single and multi status, those before everything else. A request that would wait longer than
``patience.turn_s`` for its turn comes back ``Limited`` with code "", unsent.

**Calls** (``brand`` is a ``RegistryBrand``; all ``async``; failures left out)::

    brands(iys_code) -> tuple[BrandInfo, ...]
    partner_brands(partner_code, offset=None, limit=None) -> Page[PartnerBrand]
    partner_brands_of(partner_code, iys_code) -> Page[PartnerBrand]
    subscription(iys_code), partner_subscription(partner_code) -> Subscription
    cities(), towns() -> tuple[Place, ...];  city(code), town(code) -> Place | None
    add(brand, consent), add_v1(brand, consent) -> Added                       # add is the second version
    bulk_add(brand, consents), bulk_add_v1(brand, consents) -> BulkAccepted    # 1 to 1000, all or nothing
    bulk_result(brand, request_id), bulk_result_v1(...) -> BulkResult          # after 300 s at the earliest
    status(brand, subject) -> StoredConsent | None                             # None is no record
    multi_status(brand, channel, recipient_type, recipients) -> MultiStatus    # 1 to 1000; only who has consent
    history(brand, subject, offset=0, limit=100) -> Page[Movement]
    changes(brand, source, after=None, limit=1000) -> ChangesPage              # see ``unread`` too
    register_push(brand, connections), unregister_push(brand, connection) -> None
    push_registrations(brand) -> tuple[PushRegistration, ...]
    opt_out_links(brand, recipients, recipient_type) -> tuple[OptOutLink, ...]
    reconciliation_summary(brand, day, recipient_type) -> tuple[ChangeStat, ...]
    reconciliation_info(brand, day) -> Agreement | None
    reconciliation_save(brand, day) -> bool
    reconciliation_file(brand, day, write) -> bool                             # streamed into ``write(block)``
    reconciliation_time_stamp(brand, day) -> bytes | None
    add_retailer(brand, retailer) -> int;  delete_retailer(brand, code) -> None
    retailers(brand, offset=0, limit=100, *, is_all=None, is_short=None) -> Page[Retailer]
    retailer(brand, code) -> Retailer
    add_access(brand, subject, codes) -> Added
    access(brand, subject, offset=0, limit=100) -> Page[Retailer]
    set_access, remove_access(brand, channel, recipient_type, recipients, codes) -> None
    remove_all_access(brand, channel, recipient_type, recipients) -> None

Inside: ``address`` builds; ``client`` names the calls; ``performer`` takes turn and token and sends; ``gate`` keeps the
limits; ``token_keeper`` the token; ``transport`` alone knows HTTP; ``records``, ``ports``, ``settings``.
"""

from adapters.registry.address import RecordPlace, RegistryAddress, limits_name, records_in, records_of_this_process
from adapters.registry.client import RegistryClient
from adapters.registry.gate import RateGate
from adapters.registry.performer import failure_word
from adapters.registry.ports import RegistryObserver, SharedRecord
from adapters.registry.settings import Credentials, Patience, RegistrySettingsError

__all__ = [
    "Credentials",
    "Patience",
    "RateGate",
    "RecordPlace",
    "RegistryAddress",
    "RegistryClient",
    "RegistryObserver",
    "RegistrySettingsError",
    "SharedRecord",
    "failure_word",
    "limits_name",
    "records_in",
    "records_of_this_process",
]
