"""Country names as people write them, to ISO 3166 alpha-2 codes: those B2B forms see most."""

_NAMES = {
    "AE": "uae, united arab emirates, are",
    "AR": "argentina, arg",
    "AT": "austria, österreich, oesterreich, aut, autriche",
    "AU": "australia, aus",
    "BE": "belgium, belgien, belgique, belgië, bel",
    "BG": "bulgaria, bgr",
    "BR": "brazil, brasil, brasilien, bra",
    "CA": "canada, kanada, can",
    "CH": "switzerland, schweiz, suisse, svizzera, che",
    "CL": "chile, chl",
    "CN": "china, chn, people's republic of china",
    "CO": "colombia, col",
    "CZ": "czechia, czech republic, tschechien, cze",
    "DE": "germany, deutschland, allemagne, alemania, germania, deu",
    "DK": "denmark, danmark, dänemark, dnk",
    "EE": "estonia, estland, est",
    "EG": "egypt, egy",
    "ES": "spain, españa, espana, spanien, espagne, esp",
    "FI": "finland, suomi, finnland, fin",
    "FR": "france, frankreich, francia, fra",
    "GB": "united kingdom, uk, great britain, england, scotland, wales, gbr, vereinigtes königreich",
    "GR": "greece, griechenland, grc",
    "HK": "hong kong, hkg",
    "HR": "croatia, kroatien, hrvatska, hrv",
    "HU": "hungary, ungarn, hun",
    "ID": "indonesia, idn",
    "IE": "ireland, irland, irl",
    "IL": "israel, isr",
    "IN": "india, indien, ind",
    "IT": "italy, italia, italien, italie, ita",
    "JP": "japan, jpn",
    "KE": "kenya, ken",
    "KR": "south korea, korea, republic of korea, kor",
    "LT": "lithuania, litauen, ltu",
    "LU": "luxembourg, luxemburg, lux",
    "LV": "latvia, lettland, lva",
    "MX": "mexico, méxico, mexiko, mex",
    "MY": "malaysia, mys",
    "NG": "nigeria, nga",
    "NL": "netherlands, the netherlands, holland, niederlande, nederland, pays-bas, nld",
    "NO": "norway, norge, norwegen, nor",
    "NZ": "new zealand, neuseeland, nzl",
    "PH": "philippines, phl",
    "PK": "pakistan, pak",
    "PL": "poland, polska, polen, pologne, pol",
    "PT": "portugal, prt",
    "RO": "romania, rumänien, rou",
    "RS": "serbia, serbien, srb",
    "SA": "saudi arabia, sau",
    "SE": "sweden, sverige, schweden, suède, swe",
    "SG": "singapore, singapur, sgp",
    "SI": "slovenia, slowenien, svn",
    "SK": "slovakia, slowakei, svk",
    "TH": "thailand, tha",
    "TR": "turkey, türkiye, türkei, tur",
    "TW": "taiwan, twn",
    "UA": "ukraine, ukr",
    "US": "united states, united states of america, usa, u.s., u.s.a., vereinigte staaten, états-unis",
    "VN": "vietnam, vnm",
    "ZA": "south africa, südafrika, zaf",
}
_CODES = {name: code for code, names in _NAMES.items() for name in names.split(", ")}
_ALPHA_2 = 2


def country_code(text: str) -> str | None:
    """Return the alpha-2 code of a country's name or code; any two letters are taken as a code."""
    name = text.strip().casefold()
    if name in _CODES:
        return _CODES[name]
    return name.upper() if len(name) == _ALPHA_2 and name.isascii() and name.isalpha() else None
