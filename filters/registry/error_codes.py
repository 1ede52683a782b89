"""Every documented error code of the registry, and what to do about it (İYS API reference, 8.6 and 8.1), as data.

Messages are Turkish and change between releases; only the code counts. No 4xx is ever resent unchanged, but for the
limits (429), the login (401) and H123, the one 400 that the registry lists as worth resending.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Advice(StrEnum):
    """What the caller should do after an answer that was no success."""

    TAKE_AS_DONE = "take_as_done"
    """The registry already holds what we wanted it to hold."""
    KEEP_VETO = "keep_veto"
    """The registry does not take this refusal; our own stays in force for ever."""
    READ_AGAIN = "read_again"
    """The registry knows something newer: ask the status, take it over."""
    RESEND = "resend"
    """The same request again, after ``pause_s``."""
    LOG_IN = "log_in"
    """The token is not (any longer) good."""
    CHECK_FIRST = "check_first"
    """It may have been carried out: ask what the registry holds before sending it again."""
    MEND_ACCOUNT = "mend_account"
    """A right, contract, account or setting is missing; a person has to mend it, then it may go again."""
    NEVER = "never"
    """Never again as it stands: it would only count against our ratio of failures."""


class ErrorRule(NamedTuple):
    """What one code means: usual HTTP statuses, a few words, advice, seconds to wait before asking again."""

    code: str
    statuses: tuple[int, ...]
    meaning: str
    advice: Advice
    pause_s: int = 0


HOUR_S = 3600
SOON_S = 5
BUSY_S = 30
LIMIT_S = 2
HOURLY_QUERY_S = 600

_ROWS: tuple[tuple[Advice, int, tuple[int, ...], dict[str, str]], ...] = (
    (Advice.TAKE_AS_DONE, 0, (400,), {"H174": "status unchanged"}),
    (Advice.KEEP_VETO, 0, (400,), {"H175": "the first record must not be a refusal"}),
    (Advice.READ_AGAIN, 0, (400,), {"H178": "older than the stored consent"}),
    (
        Advice.NEVER,
        0,
        (400,),
        {
            "H014": "not JSON",
            "H085": "single add: body not valid",
            "H090": "dealer access add: body not valid",
            "H092": "bulk add: body not valid",
            "H095": "transaction: request not valid",
            "H097": "status query: body not valid",
            "H098": "daily change: request not valid",
            "H171": "set access: body not valid",
            "H172": "remove access: body not valid",
            "H173": "query access: body not valid",
            "H402": "partner brand query not valid",
            "H403": "status query not valid",
            "H405": "brand query not valid",
            "H082": "enumeration look-up failed",
            "H241": "enumeration look-up failed",
            "H266": "a code is missing",
            "H267": "a code is empty",
            "H486": "source not allowed here",
            "H401": "no such consent",
            "H462": "business update without date",
            "H463": "business update without source",
        },
    ),
    (
        Advice.NEVER,
        0,
        (422,),
        {
            "H118": "unknown field",
            "H110": "status missing",
            "H111": "channel missing",
            "H112": "consent date missing",
            "H113": "source missing",
            "H114": "recipient missing",
            "H168": "recipients missing",
            "H169": "dealer access missing",
            "H170": "recipient type missing",
            "H093": "transaction id missing; in push: user or password",
            "H197": "search text missing",
            "H115": "wrong status",
            "H116": "wrong recipient type",
            "H117": "wrong channel",
            "H119": "wrong source",
            "H120": "wrong e-mail address",
            "H121": "wrong phone number",
            "H122": "neither phone nor e-mail",
            "H160": "phone too long",
            "H166": "phone too long",
            "H450": "wrong channel",
            "H459": "channel does not fit the address",
            "H464": "channel does not fit the address",
            "H478": "not a list",
            "H190": "provider code not an integer",
            "H191": "brand code not an integer; in push: the connection timed out",
            "H404": "search text empty",
            "H155": "HS_2015 without its instant",
            "H156": "before 1 May 2015",
            "H157": "no real date",
            "H158": "wrong form of date",
            "H162": "in the future",
            "H467": "older than three business days",
            "H501": "wrong form of report date",
            "H502": "report date out of range",
            "H091": "over 1000 consents",
            "H125": "over 1000 consents",
            "H126": "over 100 dealers",
            "H127": "over 100 recipients",
            "H163": "no dealers",
            "H164": "no recipients",
            "H193": "a repeat in the list",
            "H194": "a repeat in the bulk list",
            "H408": "the provider's own decision can only be a refusal",
            "H182": "wrong offset or limit",
            "H183": "wrong offset or limit",
            "H184": "wrong all",
            "H185": "wrong short",
            "H186": "over 100 a page",
            "H187": "zero a page",
            "H506": "wrong source of changes",
            "H507": "over 1000 changes a page",
            "H198": "wrong poll id",
            "H199": "wrong poll id",
            "H400": "wrong poll id",
            "H503": "wrong recipient type",
            "H512": "only true can be saved",
            "H530": "push connection failed",
            "H531": "push needs https",
            "H452": "registry-run flow",
            "H453": "registry-run flow",
            "H454": "registry-run flow",
            "H455": "registry-run flow",
            "H456": "registry-run flow",
            "H460": "registry-run flow",
            "H465": "registry-run flow",
        },
    ),
    (
        Advice.NEVER,
        0,
        (400,),
        {
            "H016": "dealer: wrong or missing fields",
            "H017": "dealer: too long",
            "H067": "dealer: no code left",
            "H201": "dealer: status",
            "H214": "dealer: blank title",
            "H215": "dealer: blank name",
            "H216": "dealer: blank citizen number",
            "H217": "dealer: blank city",
            "H218": "dealer: blank city code",
            "H219": "dealer: blank city name",
            "H220": "dealer: blank town",
            "H221": "dealer: blank town code",
            "H222": "dealer: blank town name",
            "H224": "dealer: phone",
            "H225": "dealer: citizen number",
            "H226": "dealer: citizen number",
            "H227": "dealer: MERSIS number",
            "H228": "dealer: MERSIS number",
            "H229": "dealer: not alphanumeric",
            "H230": "dealer: not unique",
            "H231": "dealer: not unique",
            "H243": "dealer: tax number",
            "H244": "dealer: tax number",
            "H253": "dealer: a passive one has the same number",
            "H288": "dealer: tax number",
        },
    ),
    (Advice.NEVER, 0, (200,), {"H568": "no consent, so no opt-out link"}),
    (Advice.LOG_IN, 0, (401,), {"H351": "token missing, bad or expired"}),
    (
        Advice.MEND_ACCOUNT,
        0,
        (403,),
        {
            "H353": "code in the path is not ours",
            "H180": "dealer unknown",
            "H195": "brand or provider not found by the server",
            "H196": "brand or provider not found by the server",
            "H520": "subscription paused or expired",
            "H521": "subscription closed",
            "H524": "no subscription",
            "H586": "package without the API",
        },
    ),
    (
        Advice.MEND_ACCOUNT,
        0,
        (404,),
        {
            "H355": "right missing",
            "H129": "partner not found",
            "H268": "partner not found",
            "H031": "user not found",
            "H437": "subscription not found",
            "H001": "provider unknown",
            "H018": "brand unknown",
            "H058": "dealer unknown",
        },
    ),
    (
        Advice.MEND_ACCOUNT,
        0,
        (400,),
        {
            "H363": "service not for this account",
            "H176": "for administrators only",
            "H245": "not a partner group",
            "H522": "for partners' API users only",
            "H250": "credentials missing",
            "H252": "credentials missing",
        },
    ),
    (Advice.MEND_ACCOUNT, 0, (401,), {"H251": "bad credentials"}),
    (Advice.MEND_ACCOUNT, 0, (422,), {"H525": "subscription quota reached"}),
    (Advice.RESEND, LIMIT_S, (429,), {"H083": "over 10 requests a second", "H124": "over 10 requests a second"}),
    (Advice.RESEND, HOUR_S, (429,), {"H084": "over the logins of an hour; each further try restarts the hour"}),
    (Advice.RESEND, HOURLY_QUERY_S, (429,), {"H086": "over the status queries of an hour"}),
    (Advice.RESEND, HOURLY_QUERY_S, (429,), {"H089": "over the history queries of an hour"}),
    (Advice.RESEND, BUSY_S, (400,), {"H123": "busy"}),
    (Advice.RESEND, BUSY_S, (503,), {"H192": "timed out"}),
    (
        Advice.RESEND,
        SOON_S,
        (500,),
        dict.fromkeys(("H015", "H101", "H102", "H103", "H179", "H412", "H470"), "server fault, worth resending"),
    ),
    (
        Advice.RESEND,
        BUSY_S,
        (500,),
        dict.fromkeys(("H100", "H105", "H106", "H107", "H181", "H476", "H060", "H061", "H062"), "server fault"),
    ),
)

ERROR_RULES: dict[str, ErrorRule] = {
    code: ErrorRule(code, statuses, meaning, advice, pause_s)
    for advice, pause_s, statuses, meanings in _ROWS
    for code, meaning in meanings.items()
}

# Of several codes in one answer the one that forbids most decides: nothing may be resent that one of them forbids.
_ORDER = (
    Advice.NEVER,
    Advice.MEND_ACCOUNT,
    Advice.LOG_IN,
    Advice.KEEP_VETO,
    Advice.READ_AGAIN,
    Advice.CHECK_FIRST,
    Advice.RESEND,
    Advice.TAKE_AS_DONE,
)


def rule_for(status: int, code: str) -> ErrorRule:
    """The rule of one code; a code we do not know is judged by the HTTP status alone."""
    known = ERROR_RULES.get(code)
    if known is not None:
        return known
    if status == 429:
        return ErrorRule(code, (status,), "limited", Advice.RESEND, BUSY_S)
    if status >= 500:
        return ErrorRule(code, (status,), "server fault", Advice.RESEND, BUSY_S)
    if status == 401:
        return ErrorRule(code, (status,), "not authorised", Advice.LOG_IN)
    if status in (403, 407):
        return ErrorRule(code, (status,), "not allowed", Advice.MEND_ACCOUNT)
    return ErrorRule(code, (status,), "refused", Advice.NEVER)


def advise(status: int, codes: Iterable[str]) -> tuple[Advice, int]:
    """Advice and pause in seconds for an answer with ``status`` and these codes (none: the status decides)."""
    rules = [rule_for(status, code) for code in codes] or [rule_for(status, "")]
    advice = min((rule.advice for rule in rules), key=_ORDER.index)
    return advice, max(rule.pause_s for rule in rules if rule.advice is advice)
