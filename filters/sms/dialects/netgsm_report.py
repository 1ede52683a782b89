"""Netgsm REST v2 reports (sms-dialects 3.2), with the numbers in them that never left the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from filters.reason import Reason
from filters.sms.dialect import RequestRefusedError
from filters.sms.dialects.in_report import page_of, passed_on
from filters.sms.dialects.strict_json import (
    code_field,
    json_response,
    malformed,
    parse_json,
    read_json_object,
)
from filters.sms.dialects.times import find_time, write_time
from filters.sms.http import HttpRequest, HttpResponse
from filters.sms.message import ReportEntry

MAX_PAGE_ROWS = 100

STATUS_BAD_NUMBER = 3
STATUS_REFUSED_BY_IYS = 16
STATUS_IYS_FAULT = 17

_SPAN_FORMAT = "%d.%m.%Y %H:%M:%S"
_TEMPORARY = frozenset(
    {Reason.STALE, Reason.REGISTRY_DOWN, Reason.LOOKUP_FAILED, Reason.EVIDENCE_UNAVAILABLE, Reason.FAULT}
)


def status_of(reason: Reason) -> int:
    """The status by which the provider itself would tell of a dropped number."""
    if reason is Reason.ADDRESS_INVALID:
        return STATUS_BAD_NUMBER
    return STATUS_IYS_FAULT if reason in _TEMPORARY else STATUS_REFUSED_BY_IYS


def asked_job_ids(request: HttpRequest) -> Sequence[str]:
    """The ``jobids`` of a report request, or the ``jobid`` of a cancellation. Raises ``RequestRefusedError``."""
    found = read_json_object(request)
    listed = found.get("jobids")
    if listed is not None and type(listed) is not list:
        raise malformed("jobids: expected a list")
    ids = [code_field({"jobids": job_id}, "jobids", default=None) for job_id in listed or ()]
    if (single := code_field(found, "jobid")) and single not in ids:
        ids.append(single)
    return ids


def find_span(request: HttpRequest) -> tuple[float, float] | None:
    """Beginning and end (seconds since 1970 UTC; the end is not in it) of a report that names no job."""
    found = read_json_object(request)
    start, stop = _span(found)
    if asked_job_ids(request) or start is None or stop is None:
        return None
    return start, stop + 1  # written in whole seconds: all of its last second belongs to it


def overlay(
    request: HttpRequest, response: HttpResponse | None, dropped: Mapping[str, Sequence[ReportEntry]]
) -> HttpResponse:
    """The upstream's page with ours behind it. An answer that is neither a page nor "nothing found" stays as it is."""
    found = read_json_object(request)
    upstream = _read_page(response)
    if response is not None and upstream is None:
        return passed_on(response)
    # Clients send a span along with ids; whoever names the job wants all of it.
    is_named = bool(asked_job_ids(request))
    rows = [
        _row(job_id, entry)
        for job_id, entries in _asked(found, dropped).items()
        for entry in entries
        if is_named or _is_in_span(found, entry)
    ]
    size = _number(found, "pagesize") or MAX_PAGE_ROWS
    ours = page_of(rows, _number(found, "pagenumber"), min(size, MAX_PAGE_ROWS))
    if not ours:
        return passed_on(response) if response is not None else nothing_found()
    answer = upstream or {}
    jobs = answer.get("jobs") or []
    return json_response(200, {**answer, "code": "00", "description": "success", "jobs": [*jobs, *ours]})


def nothing_found() -> HttpResponse:
    """Code 60: no such job, or no rows on this page."""
    return json_response(406, {"code": "60", "description": "no record found", "jobs": None})


def _read_page(response: HttpResponse | None) -> dict[str, Any] | None:
    """The upstream's page, empty for "nothing found"; None where the answer says something else."""
    if response is None:
        return {}
    try:
        found = parse_json(response.body)
    except RequestRefusedError:
        return None
    if type(found) is not dict:
        return None
    code = str(found.get("code"))
    if code == "60":
        return {}
    jobs = found.get("jobs")
    return found if response.status == 200 and code == "00" and (jobs is None or type(jobs) is list) else None


def _number(found: Mapping[str, Any], name: str) -> int:
    """An integer that clients also write as text; 0 for anything else, which the provider judges."""
    value = str(found.get(name))
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def _asked(
    found: Mapping[str, Any], dropped: Mapping[str, Sequence[ReportEntry]]
) -> Mapping[str, Sequence[ReportEntry]]:
    """What is asked about, in a fixed order, so that pages fit together."""
    listed = found.get("jobids")
    ids = [str(job_id) for job_id in listed] if listed else sorted(dropped)
    return {job_id: dropped[job_id] for job_id in ids if job_id in dropped}


def _is_in_span(found: Mapping[str, Any], entry: ReportEntry) -> bool:
    start, stop = _span(found)
    return (start is None or entry.dropped_at >= start) and (stop is None or entry.dropped_at < stop + 1)


def _span(found: Mapping[str, Any]) -> tuple[float | None, float | None]:
    start, stop = (find_time(str(found.get(name)), _SPAN_FORMAT) for name in ("startdate", "stopdate"))
    return start, stop


def _row(job_id: str, entry: ReportEntry) -> dict[str, Any]:
    return {
        "jobid": job_id,
        "number": entry.spelled,
        "status": status_of(entry.reason),
        "operator": 0,
        "msglen": 0,
        "deliveredDate": write_time(entry.dropped_at, _SPAN_FORMAT),
        "errorCode": 0,
        "referansID": entry.reference,
    }
