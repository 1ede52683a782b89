"""The footer's forms."""

from __future__ import annotations

import binascii
import html
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.brand import Brand
from filters.mime.footer import Footer, FooterForm, Language, find_texts, make_footer, to_ascii

BRAND = Brand(
    code=600123,
    iys_code=600123,
    name="Örnek Mağaza",
    title="Örnek Mağaza A.Ş.",
    mersis="0123456789012345",
    contact="iletisim@magaza.example",
    opt_out_url="https://izin.example",
)
LANGUAGES: tuple[Language, ...] = ("tr", "en", "tr+en")


def _forms(footer: Footer) -> list[FooterForm]:
    return [footer.plain_utf8, footer.plain_turkish, footer.plain_ascii, footer.html]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_form_names_the_sender_and_holds_one_place_for_the_link(language: Language) -> None:
    """Title, MERSİS and contact (Law 6563 7/2), in whatever letters the form has."""
    footer = make_footer(BRAND, language)
    texts = [
        (footer.plain_utf8.before + b"URL" + footer.plain_utf8.after).decode("utf-8"),
        (footer.plain_turkish.before + b"URL" + footer.plain_turkish.after).decode("iso-8859-9"),
        html.unescape((footer.html.before + b"URL" + footer.html.after).decode("ascii")),
    ]
    for text in texts:
        assert "Örnek Mağaza A.Ş." in " ".join(text.split())
        assert "0123456789012345" in text
        assert "iletisim@magaza.example" in text
        assert text.count("URL") == 1
    ascii_text = (footer.plain_ascii.before + footer.plain_ascii.after).decode("ascii")
    assert "Ornek Magaza A.S." in " ".join(ascii_text.split())


def test_a_tradesman_is_named_with_the_identity_number() -> None:
    """Name, surname and T.C. number in place of title and MERSİS (Law 6563 7/2)."""
    brand = replace(BRAND, title="", mersis="", trader_name="Ayşe Örnek", trader_id="10000000146")
    text = (make_footer(brand, "tr").plain_utf8.after).decode()
    assert "Ayşe Örnek, T.C. Kimlik No: 10000000146" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_encoded_forms_say_the_same(language: Language) -> None:
    """The quoted-printable form decodes to the plain one."""
    for form in _forms(make_footer(BRAND, language)):
        whole = binascii.a2b_qp(form.qp_before + b"URL" + form.qp_after)
        assert whole == form.before + b"URL" + form.after


def test_the_html_form_needs_nothing_and_hides_nothing() -> None:
    """One absolute link, whose words name the act; no image, script or outside style; no tag left open."""
    form = make_footer(BRAND, "tr").html
    text = (form.before + b"https://izin.example/o/x" + form.after).decode("ascii")
    assert text.count("<a href=") == text.count("</a>") == 1
    assert text.count("<div") == text.count("</div>") == 1
    assert "E-posta almay&#305; durdurmak" in text
    for word in ("<img", "<script", "<style", "class=", "display:none", "url("):
        assert word not in text


@given(st.text(max_size=200), st.text(max_size=60), st.text(max_size=60), st.sampled_from(LANGUAGES))
def test_whatever_the_settings_say_no_line_of_the_footer_can_be_taken_for_anything_else(
    title: str, contact: str, name: str, language: Language
) -> None:
    """No line begins with a hyphen (boundary, signature), no line is long, no line end is bare, no control is left."""
    if not title.strip():
        return
    footer = make_footer(replace(BRAND, title=title, contact=contact, name=name or "x"), language)
    for form in _forms(footer):
        for octets in (form.before + form.after, form.qp_before + form.qp_after):
            lines = octets.split(b"\r\n")
            assert not any(line.startswith(b"-") for line in lines)
            assert max(map(len, lines)) <= 900
            assert b"\n" not in octets.replace(b"\r\n", b"")
            assert b"\r" not in octets.replace(b"\r\n", b"")
            assert b"\0" not in octets
        assert max(map(len, (form.qp_before + form.qp_after).split(b"\r\n"))) <= 76
        assert b"<" not in form.before.partition(b"<div")[0][:-1].rpartition(b"<")[0]
    for field in (footer.list_id, footer.list_id_utf8):
        assert field.startswith(b"List-Id: ")
        assert field.count(b"\r\n") == 1
        assert len(field) <= 998
    assert footer.list_id.isascii()
    assert footer.plain_ascii.before.isascii()
    assert footer.html.after.isascii()
    assert not any(0x80 <= octet <= 0x9F for octet in footer.plain_turkish.before + footer.plain_turkish.after)


@pytest.mark.parametrize(
    "brand",
    [
        replace(BRAND, mersis=""),
        replace(BRAND, title=""),
        replace(BRAND, opt_out_url=""),
        replace(BRAND, opt_out_url="http://izin.example"),
        replace(BRAND, opt_out_url="https://"),
        replace(BRAND, opt_out_url="https://iz\u0131n.example"),
    ],
)
def test_a_brand_that_cannot_be_named_or_left_has_no_footer(brand: Brand) -> None:
    """Gate G3: without identity nothing goes out; without https no one-click link (RFC 8058)."""
    with pytest.raises(ValueError):
        make_footer(brand)


@pytest.mark.parametrize("invitation", ["", " \n", "-- leave:", "> leave", "From here", "x" * 500])
def test_own_words_that_readers_would_cut_or_change_are_refused(invitation: str) -> None:
    """A signature marker, a quotation, a mailbox line."""
    with pytest.raises(ValueError):
        make_footer(BRAND, texts=find_texts("tr")._replace(invitation=invitation))


def test_own_words_stand_in_the_footer() -> None:
    """The invitation in plain text, the link's words in HTML."""
    texts = find_texts("tr")._replace(invitation="Ayrılmak için:", link_words="Ayrıl <b>")
    footer = make_footer(BRAND, texts=texts)
    assert footer.plain_utf8.before.decode() == "Ayrılmak için:\r\n<"
    assert b"Ayr&#305;l &lt;b&gt;" in footer.html.after


def test_turkish_letters_have_an_ascii_form() -> None:
    """Composed or decomposed (content-rules C2)."""
    assert to_ascii("çÇğĞıİöÖşŞüÜâîû “tırnak” – …") == 'cCgGiIoOsSuUaiu "tirnak" - ...'
    assert to_ascii("s\u0327 I\u0307 ₺") == "s I TL"
