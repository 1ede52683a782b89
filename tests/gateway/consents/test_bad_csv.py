"""Every way a CSV file can be wrong, with the sentence that says so. Rows first, then whole files."""

from __future__ import annotations

from pathlib import Path

import pytest

from filters.consent_key import ConsentKeys
from gateway.consents.csv_file import CsvFile, CsvFileError
from gateway.consents.csv_row import Columns, CsvRowError, RowParser, mask, parse_header

NOW = 1_760_000_000  # 2025-10-09 11:53:20 in UTC+3
KEYS = ConsentKeys(b"test secret".ljust(32))
HEADER = "recipient,type,recipientType,status,source,consentDate"
WITH_RETAILERS = HEADER + ",retailerCode,retailerAccess"
GOOD = "ali@example.com,EPOSTA,BIREYSEL,ONAY,HS_WEB,2024-05-31 14:05:09"


def parse(line: bytes | str, header: str = HEADER, *, is_cut_off: bool = False) -> bytes:
    columns = parse_header("export.csv", header)
    return RowParser(600123, KEYS, NOW).parse_line(
        columns, line.encode() if isinstance(line, str) else line, is_cut_off=is_cut_off
    )


BAD_ROWS: list[tuple[str, bytes | str, str]] = [
    # what is wrong, the row, "column: expected, found"
    ("too few columns", "ali@example.com,EPOSTA,BIREYSEL,ONAY,HS_WEB", "row: expected 6 columns, found 5"),
    ("too many columns", GOOD + ",x", "row: expected 6 columns, found 7"),
    ("one word alone", "ali@example.com", "row: expected 6 columns, found 1"),
    ("semicolons in one row", GOOD.replace(",", ";"), "row: expected 6 columns, found 1"),
    ("blanks alone", "   ", "row: expected 6 columns, found 1"),
    ("a NUL byte", GOOD.replace("ali", "a\0i"), "row: expected text, found a NUL byte"),
    ("Latin-5", GOOD.encode().replace(b"ali", b"\xfdzin"), "row: expected UTF-8, found byte 0xfd"),
    ("a lone surrogate in bytes", b"\xed\xa0\x80" + GOOD.encode(), "row: expected UTF-8, found byte 0xed"),
    ("a carriage return inside", GOOD.replace("ali", "a\rli"), "row: expected one row a line, found a carriage return"),
    ("a line without measure", "a" * 70_000 + GOOD, "row: expected at most 65536 bytes, found 70063"),
    ("a quotation mark left open", '"' + GOOD, "row: expected quotation marks around a whole column"),
    (
        "a quotation mark inside",
        GOOD.replace("ONAY", 'ON"AY'),
        "status: expected ONAY or RET (nearest: ONAY), found 'ON\"AY'",
    ),
    ("text behind a quotation mark", GOOD.replace("ONAY", '"ONAY"x'), "row: expected quotation marks around a whole"),
    ("an unknown channel", GOOD.replace("EPOSTA", "EMAIL"), "type: expected EPOSTA, MESAJ or ARAMA, found 'EMAIL'"),
    (
        "a channel misspelled",
        GOOD.replace("EPOSTA", "E-POSTA"),
        "type: expected EPOSTA, MESAJ or ARAMA (nearest: EPOSTA), found 'E-POSTA'",
    ),
    ("small letters", GOOD.replace("ONAY", "onay"), "status: expected ONAY or RET (nearest: ONAY), found 'onay'"),
    ("a blank behind a word", GOOD.replace("ONAY", "ONAY "), "status: expected ONAY or RET (nearest: ONAY), found"),
    ("no status", GOOD.replace("ONAY", ""), "status: expected ONAY or RET, found nothing"),
    (
        "an unknown recipient type",
        GOOD.replace("BIREYSEL", "TÜZEL"),
        "recipientType: expected BIREYSEL or TACIR, found 'TÜZEL'",
    ),
    ("no recipient type", GOOD.replace("BIREYSEL", ""), "recipientType: expected BIREYSEL or TACIR, found nothing"),
    (
        "the dotted capital I",
        GOOD.replace("BIREYSEL", "BİREYSEL"),
        "recipientType: expected BIREYSEL or TACIR (nearest: BIREYSEL), found 'BİREYSEL'",
    ),
    (
        "an unknown source",
        GOOD.replace("HS_WEB", "HS_WEBB"),
        "source: expected a source of the registry, for example HS_WEB, HS_FIZIKSEL_ORTAM or IYS_WEB (nearest: HS_WEB)",
    ),
    ("no source", GOOD.replace("HS_WEB", ""), "source: expected a source of the registry"),
    ("a word that is ours, not the registry's", GOOD.replace("HS_WEB", "UNKNOWN"), "source: expected a source of the"),
    ("no date", GOOD.replace("2024-05-31 14:05:09", ""), "consentDate: expected a time as YYYY-MM-DD HH:mm:ss"),
    ("a date without time", GOOD.replace(" 14:05:09", ""), "consentDate: expected a time as YYYY-MM-DD HH:mm:ss"),
    ("a time without seconds", GOOD.replace(":09", ""), "found '2024-05-31 14:05'"),
    ("ISO's T", GOOD.replace(" 14", "T14"), "found '2024-05-31T14:05:09'"),
    ("a zone", GOOD + "+03:00", "found '2024-05-31 14:05:09+03:00'"),
    ("a blank behind the date", GOOD + " ", "consentDate: expected a time as YYYY-MM-DD HH:mm:ss"),
    ("Turkish order", GOOD.replace("2024-05-31", "31.05.2024"), "found '31.05.2024 14:05:09'"),
    ("a day that is none", GOOD.replace("05-31", "02-30"), "found '2024-02-30 14:05:09'"),
    ("an hour that is none", GOOD.replace(" 14", " 24"), "found '2024-05-31 24:05:09'"),
    ("a second that is none", GOOD.replace(":09", ":60"), "found '2024-05-31 14:05:60'"),
    ("ISO's week form", GOOD.replace("2024-05-31", "2024-W22-5"), "consentDate: expected a time as YYYY-MM-DD"),
    ("digits of another script", GOOD.replace("2024", "٢٠٢٤"), "consentDate: expected a time as YYYY-MM-DD"),
    (
        "a date in the future",
        GOOD.replace("2024", "2099"),
        "consentDate: expected a time that is not in the future, found 2099-05-31 14:05:09",
    ),
    (
        "a date before the registry's first",
        GOOD.replace("2024-05-31 14:05:09", "2015-04-30 23:59:59"),
        "consentDate: expected a time from 2015-05-01 00:00:00 on, found 2015-04-30 23:59:59",
    ),
    (
        "no recipient",
        GOOD.replace("ali@example.com", ""),
        "recipient: expected an e-mail address (the address is empty",
    ),
    ("a blank before the address", " " + GOOD, "recipient: expected an e-mail address"),
    ("two at signs", GOOD.replace("ali", "ali@veli"), "found 'a***@example.com'"),
    (
        "a display name",
        GOOD.replace("ali@example.com", "Ali <ali@example.com>"),
        "recipient: expected an e-mail address",
    ),
    ("an encoded word", GOOD.replace("ali", "=?utf-8?q?ali?="), "recipient: expected an e-mail address"),
    (
        "a phone number as e-mail",
        GOOD.replace("ali@example.com", "+905321234567"),
        "recipient: expected an e-mail address",
    ),
    (
        "an e-mail address as phone number",
        GOOD.replace("EPOSTA", "MESAJ"),
        "recipient: expected a phone number as +905XXXXXXXXX",
    ),
    (
        "a phone number of no country",
        GOOD.replace("EPOSTA", "ARAMA").replace("ali@example.com", "+999123456789"),
        "found '+99***89'",
    ),
    ("an invisible character", GOOD.replace("ali", "a\u200bli"), "recipient: expected an e-mail address"),
]


@pytest.mark.parametrize(("line", "sentence"), [row[1:] for row in BAD_ROWS], ids=[row[0] for row in BAD_ROWS])
def test_a_bad_row_is_refused_with_its_sentence(line: bytes | str, sentence: str) -> None:
    """Whole, with column, expected and found; the address is not in the sentence."""
    with pytest.raises(CsvRowError) as refused:
        parse(line)
    assert sentence in str(refused.value)
    for secret in ("ali@example.com", "ali@veli", "5321234567", "999123456"):
        assert secret not in str(refused.value)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ("1234567,", "retailerCode: expected eight digits or nothing"),
        ("abcdefgh,", "retailerCode: expected eight digits or nothing"),
        ("12345678,1234", "retailerAccess: expected codes of eight digits"),
        ('12345678,"12345678,"', "retailerAccess: expected codes of eight digits"),
    ],
)
def test_a_bad_retailer_is_refused(columns: str, sentence: str) -> None:
    """Not kept in the index, and checked all the same: a shifted column must not pass."""
    with pytest.raises(CsvRowError) as refused:
        parse(f"{GOOD},{columns}", WITH_RETAILERS)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("header", "line"),
    [
        (HEADER, GOOD + "\r"),
        (HEADER, ",".join(f'"{field}"' for field in GOOD.split(","))),
        (WITH_RETAILERS, GOOD + ",,"),
        (WITH_RETAILERS, GOOD + ',12345678,"12345678,87654321"'),
        (
            "consentDate,source,status,recipientType,type,recipient",
            "2024-05-31 14:05:09,HS_WEB,ONAY,BIREYSEL,EPOSTA,ali@example.com",
        ),
        (HEADER, GOOD.replace("ali@example.com", "ALI@EXAMPLE.COM")),
    ],
    ids=["CRLF", "quoted", "empty retailers", "retailers", "another order", "another spelling"],
)
def test_spellings_of_the_same_row_give_the_same_record(header: str, line: str) -> None:
    """Key and packed entry, in any order of the columns."""
    assert parse(line, header) == parse(GOOD)
    assert parse(GOOD)[10:] == bytes([0, 8]) + (1_717_153_509).to_bytes(4, "big")


def test_a_source_the_registry_adds_is_taken() -> None:
    """Its own set is open."""
    assert len(parse(GOOD.replace("HS_WEB", "IYS_YENI_KANAL"))) == 16


def test_a_date_that_fails_on_one_row_does_not_on_the_next() -> None:
    """What is remembered of days and words is only ever what was right."""
    columns = parse_header("export.csv", HEADER)
    parser = RowParser(600123, KEYS, NOW)
    good = parser.parse_line(columns, GOOD.encode())
    for _, line, _ in BAD_ROWS:
        with pytest.raises(CsvRowError):
            parser.parse_line(columns, line.encode() if isinstance(line, str) else line)
        assert parser.parse_line(columns, GOOD.encode()) == good


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (HEADER.replace(",status", ""), "found no column status"),
        ("recipient", "found no column type, recipientType, status, source, consentDate"),
        (HEADER + ",campaign", "found 'campaign'"),
        (HEADER.replace("recipientType", "recipienttype"), "found 'recipienttype' (nearest: recipientType)"),
        (HEADER + ",status", "expected each column once, found status 2 times"),
        (HEADER + ",", "found nothing"),
        (HEADER.replace(",", ";"), "expected columns separated by commas, found semicolons"),
        (HEADER.replace(",", "\t"), "expected columns separated by commas, found tabs"),
        (HEADER.replace(",", ", "), "found ' type' (nearest: type)"),
        (GOOD, "found no header row but what looks like a record"),
        ("+905321234567,MESAJ,BIREYSEL,ONAY,HS_WEB,2024-05-31 14:05:09", "found no header row but what looks like"),
        ("", "found an empty line"),
        ('"recipient,type', "found a quotation mark out of place"),
    ],
)
def test_a_bad_header_ends_the_import(header: str, sentence: str) -> None:
    """A file whose columns are not known is not read any further; the sentence names file and line."""
    with pytest.raises(CsvFileError) as refused:
        parse_header("export.csv", header)
    assert str(refused.value).startswith("export.csv, line 1: expected")
    assert sentence in str(refused.value)
    assert "ali@example.com" not in str(refused.value)
    assert "5321234567" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "line 1: expected a header row in UTF-8, found an empty file"),
        (HEADER.encode("utf-16"), "found UTF-16"),
        (b"PK\x03\x04xlsx", "found a compressed file"),
        (b"\x1f\x8b\x08gzip", "found a compressed file"),
        (HEADER.encode().replace(b"type", b"t\0pe") + b"\n", "found a NUL byte"),
        (HEADER.encode().replace(b"source", b"kaynak \xfd") + b"\n", "found byte 0xfd that is not UTF-8"),
        ((HEADER + "\r" + GOOD + "\r").encode(), "found lines that end in CR alone"),
        (b"x" * 70_000, "found no line end in the first 65536 bytes"),
    ],
    ids=["empty", "UTF-16", "xlsx", "gzip", "NUL", "Latin-5", "CR alone", "no line end"],
)
def test_a_file_that_is_no_csv_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """Before a row of it is read."""
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    with pytest.raises(CsvFileError) as refused:
        CsvFile(path)
    assert str(path) in str(refused.value)
    assert sentence in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """So is a folder in its place."""
    for path in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(CsvFileError, match=str(path)):
            CsvFile(path)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    """As Excel writes it."""
    path = tmp_path / "export.csv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b"\r\n" + GOOD.encode() + b"\r\n")
    file = CsvFile(path)
    assert parse_header("export.csv", file.header) == parse_header("export.csv", HEADER)
    (block,) = file.blocks(file.first_row)
    assert (block.first_line, block.lines) == (2, [GOOD.encode() + b"\r"])


@pytest.mark.parametrize(
    ("header", "line", "is_whole"),
    [
        (HEADER, GOOD, True),
        (HEADER, GOOD[:-1], False),
        (HEADER, GOOD[:-30], False),
        (
            "type,recipientType,status,source,consentDate,recipient",
            "EPOSTA,BIREYSEL,ONAY,HS_WEB,2024-05-31 14:05:09,ali@example.com",
            False,
        ),
        (
            "recipient,type,recipientType,status,consentDate,source",
            "ali@example.com,EPOSTA,BIREYSEL,ONAY,2024-05-31 14:05:09,HS_WEB",
            False,
        ),
        (WITH_RETAILERS, GOOD + ",12345678,", False),
    ],
    ids=["whole", "a digit missing", "columns missing", "an address", "a source", "retailers"],
)
def test_a_last_row_without_line_end_must_be_whole_beyond_doubt(header: str, line: str, is_whole: bool) -> None:
    """ali@example.co may be the beginning of ali@example.com: such a row is bad, not somebody else's consent."""
    if is_whole:
        assert parse(line, header, is_cut_off=True) == parse(GOOD)
    else:
        with pytest.raises(CsvRowError):
            parse(line, header, is_cut_off=True)


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ("", "nothing"),
        ("ONAY", "'ONAY'"),
        ("ali@example.com", "'a***@example.com'"),
        ("ali@example.com;veli", "'a***@***'"),
        ("+905321234567", "'+90***67'"),
        ("0532 123 45 67", "'053***67'"),
        ("0532-12-34567", "'053***67'"),
        ("2024-05-31 14:05", "'2024-05-31 14:05'"),
        ("x" * 100, "'" + "x" * 60 + "…'"),
        ("a\x1b[31m", "'a\\x1b[31m'"),
    ],
)
def test_what_is_shown_of_a_value_is_no_address(found: str, shown: str) -> None:
    """Nor does it steer the terminal."""
    assert mask(found) == shown


def test_columns_are_named_tuples_of_places() -> None:
    """An optional column that is not there is at -1."""
    columns = parse_header("export.csv", HEADER)
    assert isinstance(columns, Columns)
    assert (columns.recipient, columns.consent_date, columns.retailer_code) == (0, 5, -1)
