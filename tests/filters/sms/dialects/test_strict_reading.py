"""JSON, forms and XML are read so that no second reader could find something else in them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.dialects.field_names import refuse_unknown_names
from filters.sms.dialects.strict_form import parse_fields, read_form, write_form
from filters.sms.dialects.strict_json import (
    _LONG_BYTES,
    _parse_slowly,
    boolean_field,
    code_field,
    integer_field,
    parse_json,
    read_json_object,
    text_columns,
    text_field,
)
from filters.sms.dialects.strict_xml import Element, parse_xml, read_xml, write_document
from filters.sms.http import HttpRequest

XML_TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufffe\uffff"), max_size=20)


_NAMES = st.sampled_from(['"a"', '"no"', '"n\\u006f"', '"b:"', '"c\\":"', '""'])
_COLONS = st.sampled_from([":", " :", ": ", "\n:\t"])
_SCALARS = st.sampled_from(
    ["1", "-0", "-0.0", "1.5", "1e999", "-5", "01", "18446744073709551616", "9" * 33, "NaN", "null", "true",
     '"\\ud800"', '"x:y"', '"q\\":1"', '"\\ud83d\\ude42"', '"-0"', '"\x01"']
)  # fmt: skip


def _objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(_NAMES, _COLONS, inner).map("".join), max_size=4)
    return pairs.map(",".join).map("{{{}}}".format) | st.lists(inner, max_size=3).map(", ".join).map("[{}]".format)


@given(st.recursive(_SCALARS, _objects, max_leaves=12))
def test_the_fast_reading_is_never_another_than_the_strict_one(text: str) -> None:
    """Names twice, blanks, signs and large numbers included: what the fast one cannot vouch for is read again."""
    assert _told(parse_json, text) == _told(_parse_slowly, text)


@given(st.recursive(_SCALARS, _objects, max_leaves=12))
def test_the_fast_reading_of_a_long_body_is_never_another_either(text: str) -> None:
    """Names of long bodies are counted in another way."""
    assert _told(parse_json, text + " " * _LONG_BYTES) == _told(_parse_slowly, text)


@given(st.lists(st.fixed_dictionaries({"no": st.text(max_size=3), "msg": st.text(max_size=3)}), min_size=1))
def test_columns_are_the_values_one_by_one(listed: list[dict[str, object]]) -> None:
    """And there are none where one object lacks a field, has one more, or something else than text in it."""
    assert text_columns(listed, "no", "msg") == [[each[name] for each in listed] for name in ("no", "msg")]
    for wrong in (
        {"no": "1"},
        {"no": "1", "msg": "a", "x": ""},
        {"no": 1, "msg": "a"},
        {"no": "1", "x": "a"},
        "no",
        [],
    ):
        assert text_columns([*listed, wrong], "no", "msg") is None


def _told(read: Callable[[bytes], object], text: str) -> str:
    try:
        return repr(read(text.encode()))
    except RequestRefusedError as refusal:
        return f"refused: {refusal.detail}"


@pytest.mark.parametrize(
    "body",
    [
        b'{"no":"1","no":"2"}',
        b'{"no":"1","n\\u006f":"2"}',
        b'{"a":{"no":1,"no":1}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":-0}',
        b'{"a":' + b"1" * 33 + b"}",
        b'{"a":"\\ud83d"}',
        b'{"\\udc00":1}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b'{"a":"\xfe"}',
        b"{} {}",
        b"[" * 200_000,
        b'{"a":1,}',
        b"{'a':1}",
        b"",
    ],
)
def test_json_that_readers_disagree_about_is_refused(body: bytes) -> None:
    """Two keys, no numbers, half letters, byte order marks, what only lax readers take."""
    with pytest.raises(RequestRefusedError) as refusal:
        parse_json(body)
    assert refusal.value.fault is Fault.MALFORMED


def test_a_letter_beyond_the_first_plane_may_be_escaped_as_a_pair() -> None:
    """A whole surrogate pair is one letter."""
    assert parse_json(b'"\\ud83d\\ude42"') == "🙂"


@given(st.recursive(st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(), st.lists, max_leaves=20))
def test_ordinary_json_is_read_as_it_is(value: object) -> None:
    """Strictness costs nothing where there is nothing to doubt."""
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "application/json; charset=iso-8859-9"],
)
def test_json_announced_as_something_else_is_refused(content_type: str) -> None:
    """A server that goes by the content type would read other fields."""
    with pytest.raises(RequestRefusedError):
        read_json_object(HttpRequest("POST", "/", "", (("content-type", content_type),), b"{}"))


def test_packed_bodies_are_refused() -> None:
    """We check what stands there, so nothing may have to be unpacked first."""
    with pytest.raises(RequestRefusedError):
        read_json_object(HttpRequest("POST", "/", "", (("content-encoding", "gzip"),), b"{}"))


def test_kinds_of_values_are_not_mixed() -> None:
    """A boolean is no integer, a fraction no code, a number no text."""
    found = {"flag": True, "count": 1, "part": 1.0, "text": "1", "list": ["1"]}
    assert code_field(found, "count") == code_field(found, "text") == "1"
    for read, name in (
        (code_field, "flag"),
        (code_field, "part"),
        (code_field, "list"),
        (integer_field, "flag"),
        (integer_field, "text"),
        (boolean_field, "count"),
        (boolean_field, "text"),
        (text_field, "count"),
    ):
        with pytest.raises(RequestRefusedError, match=name):
            read(found, name)


@pytest.mark.parametrize("name", ["No", "NO", "n o", "no ", "n_o", "ｎｏ", "no\u200b"])
def test_a_name_in_other_letters_is_recognised_as_such(name: str) -> None:
    """The sender learns the spelling it should have used."""
    with pytest.raises(RequestRefusedError, match="expected the spelling no"):
        refuse_unknown_names([name], {"no", "msg"})


def test_a_name_that_holds_a_number_is_not_shown() -> None:
    """Details may be logged; a phone number in a field's name must not be."""
    with pytest.raises(RequestRefusedError) as refusal:
        refuse_unknown_names(["n5321110001"], {"no"})
    assert "5321110001" not in refusal.value.detail


@pytest.mark.parametrize("text", ["no=1&no=2", "no[]=1", "No=1", "no=%zz", "no=%ff", "no", "no=\u0665"])
def test_forms_that_readers_disagree_about_are_refused(text: str) -> None:
    """Two fields of one name, PHP's lists, broken escapes, other letters."""
    with pytest.raises(RequestRefusedError):
        parse_fields(text, {"no"})


@given(st.dictionaries(st.sampled_from(["no", "msg", "filter"]), st.text(st.characters(blacklist_categories=("Cs",)))))
def test_a_written_form_is_read_back(fields: dict[str, str]) -> None:
    """Ampersands, plus signs, percent signs and Turkish letters survive."""
    request = HttpRequest("POST", "/", "", (), write_form(fields.items()).encode())
    assert read_form(request, ("no", "msg", "filter")) == fields


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY b "5321110001">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>&b;</a>",
        b"<?php no?><a/>",
        b'<a xmlns="urn:x"/>',
        b"<x:a/>",
        b"<a>text<b/></a>",
        b'<a b="1" b="2"/>',
        b"<a></b>",
        b"<a/><a/>",
        b'<?xml version="1.0" encoding="utf-16"?><a/>',
        b"<a>" * 20 + b"</a>" * 20,
        b"",
    ],
)
def test_xml_that_readers_disagree_about_is_refused(body: bytes) -> None:
    """Document types, entities, instructions, namespaces, mixed text, depth."""
    with pytest.raises(RequestRefusedError):
        parse_xml(body)


def test_a_million_elements_are_refused_before_they_cost_much() -> None:
    """The number of elements is bounded while reading, not after it."""
    begun = time.perf_counter()
    with pytest.raises(RequestRefusedError) as refusal:
        parse_xml(b"<a>" + b"<b/>" * 1_000_000 + b"</a>")
    assert refusal.value.fault is Fault.TOO_MANY_RECIPIENTS
    assert time.perf_counter() - begun < 5


@given(XML_TEXT, XML_TEXT)
def test_written_xml_is_read_back(text: str, attribute: str) -> None:
    """Whatever letters a text has, it reaches the provider as it is."""
    element = Element("a", children=[Element("b", {"c": attribute}, text=text)])
    assert parse_xml(write_document(element)) == element


def test_text_may_be_in_several_pieces_and_turkish_charsets() -> None:
    """CDATA, references and comments make one text; ISO 8859-9 is what old clients write."""
    assert parse_xml(b"<a>x<![CDATA[<y>]]>&amp;<!-- no -->z</a>").text == "x<y>&z"
    assert parse_xml('<?xml version="1.0" encoding="ISO-8859-9"?><a>ışğ</a>'.encode("iso-8859-9")).text == "ışğ"


def test_characters_that_xml_cannot_carry_are_refused() -> None:
    """A control character would make the provider refuse the whole request, or worse."""
    with pytest.raises(RequestRefusedError):
        write_document(Element("a", text="\x0b"))


def test_the_outermost_element_is_the_expected_one() -> None:
    """Another root is another call."""
    with pytest.raises(RequestRefusedError):
        read_xml(HttpRequest("POST", "/", "", (), b"<other/>"), "mainbody")
