"""The contract is the same for all; ``CASES`` has an entry for each dialect, or for each form of one."""

from __future__ import annotations

import pytest

from tests.support.sms_cases_more import MORE_CASES
from tests.support.sms_cases_turkish import TURKISH_CASES
from tests.support.sms_dialect_case import DialectCase

CASES: tuple[DialectCase, ...] = (*TURKISH_CASES, *MORE_CASES)


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> DialectCase:
    found: DialectCase = request.param
    return found


@pytest.fixture(params=[each for each in CASES if each.make_simulator], ids=str)
def simulated_case(request: pytest.FixtureRequest) -> DialectCase:
    found: DialectCase = request.param
    return found


@pytest.fixture(params=[each for each in CASES if not each.is_single], ids=str)
def many_recipients_case(request: pytest.FixtureRequest) -> DialectCase:
    found: DialectCase = request.param
    return found


@pytest.fixture(params=[each for each in CASES if each.report], ids=str)
def reporting_case(request: pytest.FixtureRequest) -> DialectCase:
    found: DialectCase = request.param
    return found
