"""The decision table as data: gates, rows and edge cases, each with its ground in law (design D5).

One table, read four ways: ``decide`` compiles it into a dictionary, ``explain`` walks it, the tests take their cases
from it, and the page ``docs/decision-table.md`` is printed from it. "Law" is Law no. 6563, "Reg." the Regulation on
Commercial Communication and Commercial Electronic Messages (15.7.2015, amended 2020); "[I]" marks our own reading.

**How a commercial message to one recipient is judged.** The index holds, per channel, one record for each recipient
type, the latest will by consent date. Three things are read off before any row:

* the *standing*: which record counts. A refusal comes first, then the declared type's consent, then the other type's;
* the *reading*: how recent the index is (``fresh`` to ``cold``), or that it could not be asked at all;
* the settings that the rows name.

Every combination of these is met by exactly one clause of exactly one row; the import fails if that is not so.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import product
from typing import NamedTuple

from filters.decision.policy import Mixed
from filters.reason import Reason
from filters.vocabulary import FreshnessState, MessageClass, RecipientType, Verdict


class Standing(StrEnum):
    """What the records of one channel say about a recipient, seen from the declared type.

    For an undeclared type, "the declared type's" means the individual's: the strictest reading.
    """

    REFUSED = "refused"
    """The declared type's record is a refusal."""
    REFUSED_OTHERWISE = "refused_otherwise"
    """Only the other type's record is a refusal, and it counts (no type declared, or any refusal drops)."""
    CONSENT = "consent"
    """No refusal that counts; the declared type's record is a consent."""
    CONSENT_OTHERWISE = "consent_otherwise"
    """No refusal that counts; only the other type's record is a consent."""
    NOT_OPEN = "not_open"
    """As ``CONSENT``, but a dealer sends, and the consent is not known to be open to it."""
    NONE = "none"
    """No record that counts."""


class OptOut(StrEnum):
    """Whether the opt-out goes into the message of a permitted recipient."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"
    NONE = "none"


Reading = FreshnessState | None
"""How recent the index is; None where it could not be asked."""

Declared = RecipientType | None
"""The recipient type that the sender declared; None where it declared none."""


class Situation(NamedTuple):
    """All that the commercial rows look at."""

    declared: Declared
    standing: Standing
    reading: Reading
    merchant_unrecorded_allow: bool
    is_exempt_abroad: bool


class Clause(NamedTuple):
    """A set of situations and what follows from them."""

    declared: frozenset[Declared]
    standing: frozenset[Standing]
    reading: frozenset[Reading]
    verdict: Verdict
    reason: Reason
    opt_out: OptOut = OptOut.NONE
    merchant_unrecorded_allow: frozenset[bool] = frozenset({False, True})
    is_exempt_abroad: frozenset[bool] = frozenset({False})

    def holds(self, situation: Situation) -> bool:
        return (
            situation.declared in self.declared
            and situation.standing in self.standing
            and situation.reading in self.reading
            and situation.merchant_unrecorded_allow in self.merchant_unrecorded_allow
            and situation.is_exempt_abroad in self.is_exempt_abroad
        )


class TagSituation(NamedTuple):
    """All that the rows for exempt messages look at."""

    message_class: MessageClass
    is_promotion_found: bool
    mixed: Mixed


class TagClause(NamedTuple):
    """A set of tags and what follows; ``verdict`` None means: go on as commercial."""

    message_class: MessageClass
    is_promotion_found: bool
    mixed: frozenset[Mixed]
    verdict: Verdict | None
    reason: Reason
    opt_out: OptOut = OptOut.NONE

    def holds(self, situation: TagSituation) -> bool:
        return (
            situation.message_class is self.message_class
            and situation.is_promotion_found is self.is_promotion_found
            and situation.mixed in self.mixed
        )


class Gate(NamedTuple):
    """What is asked of the whole message before any row; ``fact`` is the field of ``GateFacts`` it looks at."""

    id: str
    fact: str
    situation_en: str
    situation_tr: str
    result: str
    verdict: Verdict | None
    reason: Reason
    ground: str


class Row(NamedTuple):
    """One row of the table; the first clause's reason gives the row its sentence."""

    id: str
    situation_en: str
    situation_tr: str
    result: str
    ground: str
    clauses: tuple[Clause, ...] = ()
    tag_clauses: tuple[TagClause, ...] = ()

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reasons the row can give, in the order of its clauses."""
        reasons = [clause.reason for clause in self.clauses] + [clause.reason for clause in self.tag_clauses]
        return tuple(dict.fromkeys(reasons))


class EdgeCase(NamedTuple):
    """A situation worth naming, how it is decided, and where in the program that is ensured."""

    id: str
    situation_en: str
    situation_tr: str
    result: str
    reasons: tuple[Reason, ...]
    ground: str
    enforced_in: str
    concerns_mail: bool = True


# -- the words the clauses are made of ---------------------------------------------------------------------------------

_INDIVIDUAL: frozenset[Declared] = frozenset({RecipientType.INDIVIDUAL})
_BUSINESS: frozenset[Declared] = frozenset({RecipientType.BUSINESS})
_DECLARED = _INDIVIDUAL | _BUSINESS
_UNDECLARED: frozenset[Declared] = frozenset({None})
_ANY_TYPE = _DECLARED | _UNDECLARED

_USABLE: frozenset[Reading] = frozenset({FreshnessState.FRESH, FreshnessState.AGING})
_STALE: frozenset[Reading] = frozenset({FreshnessState.STALE})
_UNUSABLE: frozenset[Reading] = frozenset({FreshnessState.BLIND, FreshnessState.COLD})
_ASKED = _USABLE | _STALE | _UNUSABLE
_NOT_ASKED: frozenset[Reading] = frozenset({None})

_REFUSED = frozenset({Standing.REFUSED})
_REFUSED_OTHERWISE = frozenset({Standing.REFUSED_OTHERWISE})
_CONSENT = frozenset({Standing.CONSENT})
_CONSENT_OTHERWISE = frozenset({Standing.CONSENT_OTHERWISE})
_NOT_OPEN = frozenset({Standing.NOT_OPEN})
_NONE = frozenset({Standing.NONE})
_NO_CONSENT_OF_THAT_TYPE = _NONE | _CONSENT_OTHERWISE
_NOT_REFUSED = _CONSENT | _NOT_OPEN | _NO_CONSENT_OF_THAT_TYPE
_ANY_STANDING = _NOT_REFUSED | _REFUSED | _REFUSED_OTHERWISE

_BOTH: frozenset[bool] = frozenset({False, True})
_ALLOWED: frozenset[bool] = frozenset({True})
_NOT_ALLOWED: frozenset[bool] = frozenset({False})
_EITHER_MODE = frozenset(Mixed)


# -- gates -------------------------------------------------------------------------------------------------------------

GATES: tuple[Gate, ...] = (
    Gate(
        "G1",
        "is_tagged",
        "the tag is missing or unreadable",
        "etiket yok veya okunamıyor",
        "treat as commercial",
        None,
        Reason.TAG_MISSING,
        "safest reading of Law 6/1 [I]",
    ),
    Gate(
        "G2",
        "is_registered",
        "commercial, and the brand has no İYS number or is not active there",
        "ticari ileti; markanın İYS numarası yok veya marka İYS'de etkin değil",
        "refuse the whole message",
        Verdict.DROP,
        Reason.BRAND_UNREGISTERED,
        "Reg. 5/2, 11",
    ),
    Gate(
        "E8",
        "is_authorised",
        "commercial, and the brand is registered but has not authorised this gateway in İYS",
        "ticari ileti; marka İYS'ye kayıtlı ama bu ağ geçidini yetkilendirmemiş",
        "refuse the whole message: what cannot be checked must not be sent",
        Verdict.DROP,
        Reason.AUTH_MISSING,
        "Reg. 11",
    ),
    Gate(
        "G3",
        "has_identity",
        "commercial, and MERSİS number with title, or name with T.C. number, stand neither in the message nor in the "
        "brand's settings",
        "ticari ileti; MERSİS ve unvan ya da ad soyad ve T.C. kimlik numarası ne iletide ne de marka ayarlarında var",
        "refuse the whole message",
        Verdict.DROP,
        Reason.IDENTITY_MISSING,
        "Law 7/2",
    ),
    Gate(
        "G4",
        "is_opt_out_possible",
        "commercial, and the opt-out can be neither inserted nor found",
        "ticari ileti; ret imkânı ne eklenebiliyor ne de iletide bulunuyor",
        "refuse the whole message",
        Verdict.DROP,
        Reason.OPTOUT_IMPOSSIBLE,
        "Law 8/2",
    ),
    Gate(
        "G5",
        "is_refusal_only_registered",
        "a refusal known to us is newer than the registry's consent",
        "bize ulaşan ret, İYS'deki onaydan daha yeni",
        "decide as refused",
        None,
        Reason.LOCAL_RET,
        "Law 8",
    ),
    Gate(
        "G6",
        "is_in_scope",
        "the channel has no equivalent in the registry (push)",
        "kanalın İYS'de karşılığı yok (anlık bildirim)",
        "pass through unfiltered",
        Verdict.PERMIT,
        Reason.OUT_OF_SCOPE,
        "outside the Regulation as practised [I]",
    ),
)
"""In the order in which they are asked. G1 and G5 change the question, the others answer it."""


class GateFacts(NamedTuple):
    """What the answering gates look at; each gate holds where its field is False."""

    is_registered: bool
    is_authorised: bool
    has_identity: bool
    is_opt_out_possible: bool
    is_in_scope: bool


# -- rows --------------------------------------------------------------------------------------------------------------

ROWS: tuple[Row, ...] = (
    Row(
        "R1",
        "commercial to an individual with a consent on a fresh index",
        "bireysel alıcıya ticari ileti; onay var, bilgi güncel",
        "permit, with opt-out",
        "Law 6/1, Reg. 5",
        (Clause(_INDIVIDUAL, _CONSENT, _USABLE, Verdict.PERMIT, Reason.CONSENT, OptOut.REQUIRED),),
    ),
    Row(
        "R2",
        "commercial to an individual who refused",
        "bireysel alıcıya ticari ileti; ret var",
        "drop",
        "Law 8, Reg. 9",
        (Clause(_INDIVIDUAL, _REFUSED, _USABLE, Verdict.DROP, Reason.REFUSED, is_exempt_abroad=_BOTH),),
    ),
    Row(
        "R3",
        "commercial to an individual without a record of that type",
        "bireysel alıcıya ticari ileti; bu tür için kayıt yok",
        "drop",
        "Law 11/5, Reg. 5/3, 11",
        (Clause(_INDIVIDUAL, _NO_CONSENT_OF_THAT_TYPE, _USABLE, Verdict.DROP, Reason.NO_CONSENT),),
    ),
    Row(
        "R4",
        "commercial to an individual with a consent, but the index is stale",
        "bireysel alıcıya ticari ileti; onay var ama bilgi eski",
        "defer: look up again, and hold where that is impossible",
        "Reg. 11 [I]",
        (Clause(_INDIVIDUAL, _CONSENT, _STALE, Verdict.DEFER, Reason.STALE),),
    ),
    Row(
        "R5",
        "commercial to an individual with a refusal or no record, and the index is stale",
        "bireysel alıcıya ticari ileti; ret var veya kayıt yok, bilgi eski",
        "drop: staleness never turns a no into a yes. A known refusal stands however old the index is",
        "Law 8, Reg. 9, 11 [I]",
        (
            Clause(_INDIVIDUAL, _NO_CONSENT_OF_THAT_TYPE, _STALE, Verdict.DROP, Reason.NO_CONSENT),
            Clause(_INDIVIDUAL, _REFUSED, _STALE | _UNUSABLE, Verdict.DROP, Reason.REFUSED, is_exempt_abroad=_BOTH),
        ),
    ),
    Row(
        "R6",
        "commercial to a merchant recorded with a consent on a fresh index",
        "tacir alıcıya ticari ileti; kayıtlı ve onaylı, bilgi güncel",
        "permit, with opt-out",
        "Law 6/2, Reg. 6/3",
        (Clause(_BUSINESS, _CONSENT, _USABLE, Verdict.PERMIT, Reason.MERCHANT, OptOut.REQUIRED),),
    ),
    Row(
        "R7",
        "commercial to a merchant who refused",
        "tacir alıcıya ticari ileti; ret var",
        "drop",
        "Reg. 6/3, 9",
        (Clause(_BUSINESS, _REFUSED, _USABLE, Verdict.DROP, Reason.REFUSED, is_exempt_abroad=_BOTH),),
    ),
    Row(
        "R8",
        "commercial to a merchant without a record of that type",
        "tacir alıcıya ticari ileti; tacir kaydı yok",
        "drop: the sender records the address first. Setting merchant_unrecorded_allow: permit, with opt-out",
        "Law 6/2 needs no consent, but Reg. 6/3 lets record and check come first",
        (
            Clause(
                _BUSINESS,
                _NO_CONSENT_OF_THAT_TYPE,
                _USABLE,
                Verdict.DROP,
                Reason.MERCHANT_UNRECORDED,
                merchant_unrecorded_allow=_NOT_ALLOWED,
            ),
            Clause(
                _BUSINESS,
                _NO_CONSENT_OF_THAT_TYPE,
                _USABLE,
                Verdict.PERMIT,
                Reason.MERCHANT,
                OptOut.REQUIRED,
                merchant_unrecorded_allow=_ALLOWED,
            ),
        ),
    ),
    Row(
        "R9",
        "commercial to a merchant, and the index is stale",
        "tacir alıcıya ticari ileti; bilgi eski",
        "as R4 and R5: a yes is deferred, a no stays a no",
        "Reg. 11 [I]",
        (
            Clause(_BUSINESS, _CONSENT, _STALE, Verdict.DEFER, Reason.STALE),
            Clause(
                _BUSINESS,
                _NO_CONSENT_OF_THAT_TYPE,
                _STALE,
                Verdict.DROP,
                Reason.MERCHANT_UNRECORDED,
                merchant_unrecorded_allow=_NOT_ALLOWED,
            ),
            Clause(
                _BUSINESS,
                _NO_CONSENT_OF_THAT_TYPE,
                _STALE,
                Verdict.DEFER,
                Reason.STALE,
                merchant_unrecorded_allow=_ALLOWED,
            ),
            Clause(_BUSINESS, _REFUSED, _STALE | _UNUSABLE, Verdict.DROP, Reason.REFUSED, is_exempt_abroad=_BOTH),
        ),
    ),
    Row(
        "R10",
        "commercial, recipient type not declared, consent as an individual, no refusal as a merchant",
        "ticari ileti, alıcı türü bildirilmemiş; bireysel onay var, tacir olarak ret yok",
        "permit, with opt-out",
        "Law 6/1, strictest reading [I]",
        (Clause(_UNDECLARED, _CONSENT, _USABLE, Verdict.PERMIT, Reason.CONSENT, OptOut.REQUIRED),),
    ),
    Row(
        "R11",
        "commercial, recipient type not declared, consent as a merchant only",
        "ticari ileti, alıcı türü bildirilmemiş; yalnız tacir kaydı var",
        "drop: the sender has to claim the exemption",
        "Law 6/2: the exemption is the sender's to claim",
        (
            Clause(_UNDECLARED, _CONSENT_OTHERWISE, _USABLE | _STALE, Verdict.DROP, Reason.TYPE_UNDECLARED),
        ),
    ),
    Row(
        "R12",
        "commercial, recipient type not declared, any refusal",
        "ticari ileti, alıcı türü bildirilmemiş; herhangi bir ret var",
        "drop",
        "Law 8",
        (
            Clause(
                _UNDECLARED,
                _REFUSED | _REFUSED_OTHERWISE,
                _ASKED,
                Verdict.DROP,
                Reason.REFUSED,
                is_exempt_abroad=_BOTH,
            ),
        ),
    ),
    Row(
        "R13",
        "commercial, recipient type not declared, no record or a stale index",
        "ticari ileti, alıcı türü bildirilmemiş; kayıt yok veya bilgi eski",
        "as R3 and R4: no record drops, a stale consent is deferred",
        "Law 11/5, Reg. 5/3, 11",
        (
            Clause(_UNDECLARED, _NONE, _USABLE | _STALE, Verdict.DROP, Reason.NO_CONSENT),
            Clause(_UNDECLARED, _CONSENT, _STALE, Verdict.DEFER, Reason.STALE),
        ),
    ),
    Row(
        "R14",
        "commercial, and the registry is out of reach with nothing usable known, or the index cannot be asked",
        "ticari ileti; İYS'ye ulaşılamıyor ve kullanılabilir bilgi yok ya da izin dizini yanıt vermiyor",
        "defer; never permit",
        "Reg. 11",
        (
            Clause(
                _ANY_TYPE, _NOT_REFUSED, _UNUSABLE, Verdict.DEFER, Reason.REGISTRY_DOWN, is_exempt_abroad=_BOTH
            ),
            Clause(
                _ANY_TYPE, _ANY_STANDING, _NOT_ASKED, Verdict.DEFER, Reason.LOOKUP_FAILED, is_exempt_abroad=_BOTH
            ),
        ),
    ),
    Row(
        "R15",
        "informational (Reg. 6/2, 6/4)",
        "bilgilendirme iletisi (Yön. 6/2, 6/4)",
        "permit without a look-up, refusals included; nothing is inserted",
        "Reg. 6/2, 6/4, 9/5",
        tag_clauses=(
            TagClause(MessageClass.INFORMATIONAL, False, _EITHER_MODE, Verdict.PERMIT, Reason.EXEMPT),
        ),
    ),
    Row(
        "R16",
        "service mail about goods already supplied (Law 6/1, last sentence)",
        "alınmış mal veya hizmete ilişkin ileti (Kanun 6/1 son cümle)",
        "permit without a look-up; an opt-out is recommended",
        "Law 6/1",
        tag_clauses=(
            TagClause(
                MessageClass.SERVICE, False, _EITHER_MODE, Verdict.PERMIT, Reason.EXEMPT_SERVICE, OptOut.RECOMMENDED
            ),
        ),
    ),
    Row(
        "R17",
        "informational or service mail in which promotion was found",
        "tanıtım içerdiği saptanan bilgilendirme veya hizmet iletisi",
        "mixed = strict: treat as commercial (R1-R14); mixed = lenient: permit and warn",
        "Reg. 6/2",
        tag_clauses=(
            TagClause(MessageClass.INFORMATIONAL, True, frozenset({Mixed.STRICT}), None, Reason.MIXED),
            TagClause(MessageClass.INFORMATIONAL, True, frozenset({Mixed.LENIENT}), Verdict.PERMIT, Reason.MIXED),
            TagClause(MessageClass.SERVICE, True, frozenset({Mixed.STRICT}), None, Reason.MIXED),
            TagClause(
                MessageClass.SERVICE,
                True,
                frozenset({Mixed.LENIENT}),
                Verdict.PERMIT,
                Reason.MIXED,
                OptOut.RECOMMENDED,
            ),
        ),
    ),
    Row(
        "E10",
        "commercial, refused under the type that was not declared (setting any_refusal_drops)",
        "ticari ileti; bildirilmeyen alıcı türünde ret var (any_refusal_drops ayarı)",
        "drop: same person, same mailbox",
        "Law 8 [I]",
        (Clause(_DECLARED, _REFUSED_OTHERWISE, _ASKED, Verdict.DROP, Reason.REFUSED, is_exempt_abroad=_BOTH),),
    ),
    Row(
        "E11",
        "commercial from a dealer of the brand, and the consent is not known to be open to that dealer",
        "markanın bayisinden ticari ileti; onayın o bayiye açık olduğu bilinmiyor",
        "drop, however old the index is: an unknown list means no",
        "Reg. 5, dealer contracts; unknown means no [I]",
        (Clause(_ANY_TYPE, _NOT_OPEN, _USABLE | _STALE, Verdict.DROP, Reason.DEALER_NO_ACCESS),),
    ),
    Row(
        "E20",
        "commercial to a phone number outside Turkey (setting abroad = exempt), no refusal known",
        "Türkiye dışındaki telefon numarasına ticari ileti (abroad = exempt ayarı); bilinen ret yok",
        "permit unfiltered; with the default, abroad = same, the other rows hold",
        "scope of the Regulation: recipients in Turkey",
        (
            Clause(
                _ANY_TYPE,
                _NOT_REFUSED,
                _USABLE | _STALE,
                Verdict.PERMIT,
                Reason.OUT_OF_SCOPE,
                is_exempt_abroad=_ALLOWED,
            ),
        ),
    ),
)  # fmt: skip
"""R1 to R17, and the three edge cases that answer by themselves. No two clauses hold in one situation."""


# -- edge cases --------------------------------------------------------------------------------------------------------

_MERGE = "filters.consent.merge: the later will by consent date, at equal dates the refusal"
_KEY = "filters.consent_key: brand and address make the key; the channel is a slot of the value"

EDGE_CASES: tuple[EdgeCase, ...] = (
    EdgeCase(
        "E1",
        "a refusal came in by our own link today, the registry still says consent",
        "bugün ret bağlantımızla ret verildi, İYS'de hâlâ onay görünüyor",
        "drop at once, and start the three-business-day clock of the report",
        (Reason.LOCAL_RET,),
        "Law 8/3, Reg. 9/2",
        f"{_MERGE}; gate G5; the report goes through the outbox of the same store transaction",
    ),
    EdgeCase(
        "E2",
        "a refusal came in and its report to the registry fails",
        "ret alındı ama İYS'ye bildirimi başarısız",
        "keep dropping for ever; alarm before the deadline",
        (Reason.LOCAL_RET,),
        "Law 8/3",
        f"{_MERGE}: nothing but a later registry consent removes our own refusal; outbox age is a metric",
    ),
    EdgeCase(
        "E3",
        "refused today, and a registry consent dated after the refusal",
        "bugün ret verildi, İYS'de ret tarihinden sonraki tarihli onay var",
        "permit: the later will rules",
        (Reason.CONSENT,),
        "Reg. 9/2",
        _MERGE,
    ),
    EdgeCase(
        "E4",
        "refused today, and a consent with an older date is uploaded later",
        "bugün ret verildi, sonra eski tarihli bir onay yüklendi",
        "drop: upload time is not consent time",
        (Reason.LOCAL_RET, Reason.REFUSED),
        "Law 8, Reg. 9/2",
        _MERGE,
    ),
    EdgeCase(
        "E5",
        "consent recorded by the sender, not yet in the registry, inside three business days",
        "onay alındı, üç iş günü dolmadı, henüz İYS'de yok",
        "drop: no sending without a registry record",
        (Reason.NO_CONSENT,),
        "Reg. 5/3, 11",
        "row R3; filters.decision.decide: a consent that only we hold counts as no record",
    ),
    EdgeCase(
        "E6",
        "the same after three business days",
        "aynı durum, üç iş günü geçmiş",
        "drop: the consent is invalid and has to be taken anew",
        (Reason.NO_CONSENT,),
        "Law 11/5",
        "row R3",
    ),
    EdgeCase(
        "E7",
        "the brand is not registered",
        "marka İYS'ye kayıtlı değil",
        "refuse the whole message",
        (Reason.BRAND_UNREGISTERED,),
        "Reg. 11",
        "gate G2",
    ),
    EdgeCase(
        "E8",
        "the brand is registered, this gateway not authorised by it",
        "marka kayıtlı ama bu ağ geçidi yetkilendirilmemiş",
        "refuse the whole message, with a code of its own",
        (Reason.AUTH_MISSING,),
        "Reg. 11",
        "gate E8",
    ),
    EdgeCase(
        "E9",
        "consent under both recipient types",
        "adres için hem bireysel hem tacir onayı var",
        "permit under the declared type",
        (Reason.CONSENT, Reason.MERCHANT),
        "the registry keeps both side by side",
        "rows R1 and R6",
    ),
    EdgeCase(
        "E10",
        "consent under one recipient type, refusal under the other",
        "bir türde onay, diğerinde ret var",
        "drop by default; setting any_refusal_drops = false: the declared type's record decides",
        (Reason.REFUSED,),
        "Law 8 [I]",
        "row E10",
    ),
    EdgeCase(
        "E11",
        "the main firm holds the consent, its dealer sends",
        "onay ana firmada, gönderen bayi",
        "permit only where the consent lists the dealer's number; an unknown list, or one of an earlier consent, is no",
        (Reason.CONSENT, Reason.DEALER_NO_ACCESS),
        "dealer contracts; unknown means no",
        "row E11; filters.decision.dealer_access: lists beside the index, asked for dealers only; the sender's number "
        "is a setting of the client",
    ),
    EdgeCase(
        "E12",
        "a dealer collected the consent, the main firm sends",
        "onayı bayi almış, gönderen ana firma",
        "permit for the same brand: the consent is the brand's",
        (Reason.CONSENT,),
        "dealer contracts",
        _KEY,
    ),
    EdgeCase(
        "E13",
        "the refusal was given to the dealer",
        "ret bayiye verilmiş",
        "drop for both: a refusal closes the brand, and a dealer's permission rests on the same record",
        (Reason.REFUSED, Reason.LOCAL_RET),
        "no text splits a refusal [I]",
        _KEY,
    ),
    EdgeCase(
        "E14",
        "consent for brand A, message for brand B of the same firm",
        "onay A markası için, ileti aynı firmanın B markası için",
        "drop",
        (Reason.NO_CONSENT,),
        "separate İYS numbers, Reg. 4",
        _KEY,
    ),
    EdgeCase(
        "E15",
        "consent for SMS, message by e-mail",
        "onay SMS için, ileti e-posta ile",
        "drop",
        (Reason.NO_CONSENT,),
        "Reg. 9/2: per channel",
        _KEY,
    ),
    EdgeCase(
        "E16",
        "a message asking for consent",
        "onay isteyen ileti",
        "commercial: dropped for whoever has not consented",
        (Reason.NO_CONSENT,),
        "Reg. 7",
        "row R3; no class exists for it",
    ),
    EdgeCase(
        "E17",
        "same-day confirmation of a consent just given",
        "yeni verilen onayın aynı gün teyidi",
        "permit as informational",
        (Reason.EXEMPT,),
        "Reg. 7",
        "row R15: the sender tags it informational",
    ),
    EdgeCase(
        "E18",
        "several recipients, some refused",
        "birden çok alıcı, bazıları ret vermiş",
        "decide each, deliver to the rest, report the dropped",
        (Reason.CONSENT, Reason.REFUSED),
        "Law 12/2",
        "filters.decision.decide judges one recipient and knows of no other; filters.answer counts",
    ),
    EdgeCase(
        "E19",
        "time passes between acceptance and release",
        "kabul ile gönderim arasında zaman geçiyor",
        "decide again right before each hand-over",
        (Reason.REFUSED, Reason.STALE),
        "Reg. 11: check before starting to send",
        "gateway.mail.pipeline looks up again when a decision is older than a few seconds; there is no queue of ours",
    ),
    EdgeCase(
        "E20",
        "recipient abroad",
        "alıcı yurt dışında",
        "same rules by default; setting abroad = exempt",
        (Reason.OUT_OF_SCOPE,),
        "scope of the Regulation",
        "row E20; an e-mail address does not tell the country, so mail always follows the rules",
        concerns_mail=False,
    ),
    EdgeCase(
        "E21",
        "the address is a firm's info@ box",
        "adres bir firmanın info@ kutusu",
        "the sender must declare the recipient a merchant; nothing is guessed from the address",
        (Reason.NO_CONSENT, Reason.TYPE_UNDECLARED),
        "Law 6/2",
        "rows R11 and R13",
    ),
    EdgeCase(
        "E22",
        "celebration mail tagged informational",
        "bilgilendirme etiketli kutlama iletisi",
        "it is commercial: R17 where promotion is found, and the sender answers for the tag",
        (Reason.MIXED,),
        "Reg. 5/1",
        "row R17",
    ),
    EdgeCase(
        "E23",
        "cart reminder, request to rate an order",
        "sepet hatırlatması, sipariş değerlendirme isteği",
        "commercial; the sender tags it so",
        (Reason.NO_CONSENT,),
        "Reg. 5/1",
        "row R3; no class exists for it",
    ),
    EdgeCase(
        "E24",
        "the refusal was given at the registry within the last hour",
        "ret son bir saat içinde İYS'de verilmiş",
        "permit on a fresh index: the change feed lags an hour, and the staleness is kept with the decision",
        (Reason.CONSENT,),
        "Law 8/3 [I]",
        "filters.decision.freshness; the evidence holds the staleness",
    ),
)


# -- the table, compiled -----------------------------------------------------------------------------------------------

_ALL_READINGS: tuple[Reading, ...] = (*FreshnessState, None)
_ALL_DECLARED: tuple[Declared, ...] = (*RecipientType, None)

SITUATIONS: tuple[Situation, ...] = tuple(
    Situation(*parts) for parts in product(_ALL_DECLARED, Standing, _ALL_READINGS, (False, True), (False, True))
)
TAG_SITUATIONS: tuple[TagSituation, ...] = tuple(
    TagSituation(message_class, is_promotion_found, mixed)
    for message_class in MessageClass
    if message_class is not MessageClass.COMMERCIAL
    for is_promotion_found in (False, True)
    for mixed in Mixed
)
GATE_SITUATIONS: tuple[GateFacts, ...] = tuple(GateFacts(*parts) for parts in product((False, True), repeat=5))


def compile_rows(rows: tuple[Row, ...] = ROWS) -> dict[Situation, tuple[Row, Clause]]:
    """The one row and clause for each situation. Raises ``ValueError`` where none or several hold."""
    compiled: dict[Situation, tuple[Row, Clause]] = {}
    for situation in SITUATIONS:
        hits = [(row, clause) for row in rows for clause in row.clauses if clause.holds(situation)]
        if len(hits) != 1:
            raise ValueError(f"decision table: {len(hits)} clauses hold for {situation}: {[row.id for row, _ in hits]}")
        compiled[situation] = hits[0]
    return compiled


def compile_tags(rows: tuple[Row, ...] = ROWS) -> dict[TagSituation, tuple[Row, TagClause]]:
    """The one row and clause for each exempt message. Raises ``ValueError`` where none or several hold."""
    compiled: dict[TagSituation, tuple[Row, TagClause]] = {}
    for situation in TAG_SITUATIONS:
        hits = [(row, clause) for row in rows for clause in row.tag_clauses if clause.holds(situation)]
        if len(hits) != 1:
            raise ValueError(f"decision table: {len(hits)} clauses hold for {situation}: {[row.id for row, _ in hits]}")
        compiled[situation] = hits[0]
    return compiled


def compile_gates(gates: tuple[Gate, ...] = GATES) -> dict[GateFacts, Gate | None]:
    """The first gate that answers, for each combination of facts; None where all let pass."""
    answering = [gate for gate in gates if gate.verdict is not None]
    return {
        facts: next((gate for gate in answering if not getattr(facts, gate.fact)), None) for facts in GATE_SITUATIONS
    }
