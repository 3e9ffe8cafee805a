"""Public holidays of a country or subdivision as dates, resolved once when a policy is pushed."""

from collections.abc import Sequence
from datetime import date
from difflib import get_close_matches
from importlib.metadata import version

# A policy is pushed again long before its dates run out; a year back serves clocks that are still open.
YEARS_BACK, YEARS_AHEAD = 1, 4


class CountryHolidays:
    """Callable (country, subdivision) -> dates of the years around `today`. Implements `HolidayDates`."""

    def __init__(self, today: date) -> None:
        self._years = range(today.year - YEARS_BACK, today.year + YEARS_AHEAD + 1)

    def __call__(self, country: str, subdivision: str | None) -> frozenset[date]:
        """Return the dates; LookupError carries (message, fix) for an unknown country or subdivision."""
        # Here, since it takes long to load and only a policy that is being pushed needs it.
        import holidays

        supported = holidays.list_supported_countries(include_aliases=True)
        if country not in supported:
            raise LookupError(
                f"no holidays are known for country {country!r}", _fix(country, sorted(supported))
            )
        if subdivision is not None and subdivision not in supported[country]:
            message = f"country {country!r} has no subdivision {subdivision!r}"
            raise LookupError(message, _fix(subdivision, sorted(supported[country])))
        return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=self._years))


def _fix(word: str, known: Sequence[str]) -> str:
    close = get_close_matches(word.upper(), known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}? Countries are ISO 3166 codes"
    return f"use one of: {', '.join(known[:12])}" if known else "leave `subdivision` out"


def tzdata_version() -> str:
    """Return the version of the time zone data that ships with Leadline."""
    return version("tzdata")
