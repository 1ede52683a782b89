"""Every documented error code and what is done about it (İYS API reference, 8.6 and 8.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.registry.error_codes import ERROR_RULES, Advice, advise, rule_for

# The list of the reference, status by status; ">" marks the codes the registry lists as worth resending.
DOCUMENTED = {
    400: "H014 H085 H090 H092 H095 H097 H098 H171 H172 H173 H402 H403 H405 H082 H241 H266 H267 H486 H174 H175 H178 H401"
    " H462 H463 H363 H176 H245 H522 H250 H252 >H123 H016 H017 H067 H201 H214 H215 H216 H217 H218 H219 H220 H221 H222"
    " H224 H225 H226 H227 H228 H229 H230 H231 H243 H244 H288 H253",
    401: "H351 H251",
    403: "H353 H180 H195 H196 H520 H521 H524 H586",
    404: "H355 H129 H268 H031 H437 H001 H018 H058",
    422: "H118 H110 H111 H112 H113 H114 H168 H169 H170 H093 H197 H115 H116 H117 H119 H120 H121 H122 H160 H166 H450 H459"
    " H464 H478 H190 H191 H404 H155 H156 H157 H158 H162 H467 H501 H502 H091 H125 H126 H127 H163 H164 H193 H194 H408"
    " H525 H182 H183 H184 H185 H186 H187 H506 H507 H198 H199 H400 H503 H512 H530 H531 H452 H453 H454 H455 H456 H460"
    " H465",
    429: ">H083 >H084 >H086 >H089 >H124",
    500: ">H015 H100 >H101 >H102 >H103 H105 H106 H107 >H179 H181 >H412 >H470 H476 H060 H061 H062",
    503: ">H192",
}
ROWS = [
    (status, word.lstrip(">"), word.startswith(">")) for status, codes in DOCUMENTED.items() for word in codes.split()
]
STATE = {"H174": Advice.TAKE_AS_DONE, "H175": Advice.KEEP_VETO, "H178": Advice.READ_AGAIN}


@pytest.mark.parametrize(("status", "code", "is_worth_resending"), ROWS)
def test_each_code_has_its_rule(status: int, code: str, is_worth_resending: bool) -> None:
    """A code worth resending is resent after a pause, a server's fault too; no other 4xx goes again unchanged."""
    rule = ERROR_RULES[code]
    assert status in rule.statuses
    if is_worth_resending or status >= 500:
        assert rule.advice is Advice.RESEND
        assert rule.pause_s > 0
    else:
        assert rule.advice is not Advice.RESEND
        assert rule.pause_s == 0
    assert rule.advice is STATE.get(code, rule.advice)


def test_no_code_is_in_the_table_that_is_not_documented() -> None:
    """The table holds the list and the one code of the opt-out links, nothing invented."""
    assert set(ERROR_RULES) == {code for _, code, _ in ROWS} | {"H568"}


def test_only_the_three_answers_about_state_say_more_than_no() -> None:
    """H174 is success, H175 keeps the veto, H178 asks again; no other code is treated so."""
    for advice in STATE.values():
        assert [code for code, rule in ERROR_RULES.items() if rule.advice is advice] == [
            code for code, expected in STATE.items() if expected is advice
        ]


def test_a_blocked_login_waits_a_full_hour() -> None:
    """H084: asking again earlier restarts the hour."""
    assert advise(429, ["H084"]) == (Advice.RESEND, 3600)


def test_the_one_400_that_may_be_resent_is_busy() -> None:
    """H123 comes with 400 and still goes again."""
    again = [code for status, code, _ in ROWS if status == 400 and ERROR_RULES[code].advice is Advice.RESEND]
    assert again == ["H123"]


def test_accounts_faults_are_for_a_person() -> None:
    """Rights, contract, quota and credentials are mended by a person; the items are not to blame."""
    for code in ("H353", "H180", "H520", "H521", "H524", "H525", "H586", "H355", "H001", "H018", "H251", "H250"):
        assert ERROR_RULES[code].advice is Advice.MEND_ACCOUNT, code


def test_an_expired_token_asks_for_another() -> None:
    """H351 and a bare 401."""
    assert advise(401, ["H351"])[0] is Advice.LOG_IN
    assert advise(401, [])[0] is Advice.LOG_IN


@given(st.integers(400, 599), st.from_regex(r"H[0-9]{4}", fullmatch=True))
def test_an_unknown_code_is_judged_by_its_status(status: int, code: str) -> None:
    """5xx and 429 may go again after a pause; another 4xx never does."""
    rule = rule_for(status, code)
    if status == 429 or status >= 500:
        assert rule.advice is Advice.RESEND
        assert rule.pause_s > 0
    else:
        assert rule.advice is not Advice.RESEND


@given(st.integers(400, 422), st.lists(st.sampled_from(sorted(ERROR_RULES)), min_size=1, max_size=5))
def test_of_several_codes_the_one_that_forbids_most_decides(status: int, codes: list[str]) -> None:
    """An answer is only resent, or taken as done, if each of its codes says so."""
    advice, _ = advise(status, codes)
    each = {ERROR_RULES[code].advice for code in codes}
    assert advice in each
    if advice is Advice.TAKE_AS_DONE:
        assert each == {Advice.TAKE_AS_DONE}
    if advice is Advice.RESEND:
        assert each <= {Advice.TAKE_AS_DONE, Advice.RESEND}
    if Advice.NEVER in each:
        assert advice is Advice.NEVER
