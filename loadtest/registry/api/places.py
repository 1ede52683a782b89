"""Provinces, and some of their towns, under the registry's numbers. It knows 970 towns; here are a few."""

from __future__ import annotations

from loadtest.registry.api.call import MAX_DIGITS, NO_CONTENT, Answer, Call

_PROVINCES = (
    "Adana,Adıyaman,Afyonkarahisar,Ağrı,Amasya,Ankara,Antalya,Artvin,Aydın,Balıkesir,Bilecik,Bingöl,Bitlis,Bolu,Burdur,"
    "Bursa,Çanakkale,Çankırı,Çorum,Denizli,Diyarbakır,Edirne,Elazığ,Erzincan,Erzurum,Eskişehir,Gaziantep,Giresun,"
    "Gümüşhane,Hakkari,Hatay,Isparta,Mersin,İstanbul,İzmir,Kars,Kastamonu,Kayseri,Kırklareli,Kırşehir,Kocaeli,Konya,"
    "Kütahya,Malatya,Manisa,Kahramanmaraş,Mardin,Muğla,Muş,Nevşehir,Niğde,Ordu,Rize,Sakarya,Samsun,Siirt,Sinop,Sivas,"
    "Tekirdağ,Tokat,Trabzon,Tunceli,Şanlıurfa,Uşak,Van,Yozgat,Zonguldak,Aksaray,Bayburt,Karaman,Kırıkkale,Batman,Şırnak,"
    "Bartın,Ardahan,Iğdır,Yalova,Karabük,Kilis,Osmaniye,Düzce"
)
_CITIES = dict(enumerate(_PROVINCES.split(","), 1))
_TOWNS = {
    940: ("Yalova Merkez", 77),
    941: ("Altınova", 77),
    942: ("Armutlu", 77),
    943: ("Çınarcık", 77),
    944: ("Çiftlikköy", 77),
    945: ("Termal", 77),
    952: ("Kilis Merkez", 79),
    953: ("Elbeyli", 79),
    954: ("Musabeyli", 79),
    955: ("Polateli", 79),
}


def cities(_call: Call) -> Answer:
    return Answer(200, [{"code": code, "name": name} for code, name in _CITIES.items()])


def city(call: Call) -> Answer:
    code = _read_code(call)
    return Answer(200, {"code": code, "name": _CITIES[code]}) if code in _CITIES else NO_CONTENT


def towns(_call: Call) -> Answer:
    return Answer(200, [_render(code) for code in _TOWNS])


def town(call: Call) -> Answer:
    code = _read_code(call)
    return Answer(200, _render(code)) if code in _TOWNS else NO_CONTENT


def _read_code(call: Call) -> int:
    """0, which nothing has, for what is no number."""
    text = call.parts["code"]
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else 0


def _render(code: int) -> dict[str, object]:
    name, city_code = _TOWNS[code]
    # The samples spell it with an underscore, the schema without; clients of both kinds exist.
    return {"code": code, "name": name, "city_code": city_code, "cityCode": city_code}
