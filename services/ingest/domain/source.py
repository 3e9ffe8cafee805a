"""A source: one site, form or webhook, and how its submissions are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Source:
    """How the submissions of one source become activities. Names of fields are normalised, or dotted paths.

    `traits` maps each trait to the fields that may hold it, best first. `guess_email` takes the only
    e-mail address among the answers where no named field holds one. `region` is how phone numbers
    without a country code are read (ISO 3166). `test` names flags by which a vendor marks what is no lead.
    """

    name: str
    title: str = ""
    email: tuple[str, ...] = ()
    phone: tuple[str, ...] = ()
    anonymous_id: tuple[str, ...] = ()
    user_id: tuple[str, ...] = ()
    traits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    form: tuple[str, ...] = ()
    page_url: tuple[str, ...] = ()
    idempotency_key: tuple[str, ...] = ()
    occurred_at: tuple[str, ...] = ()
    honeypot: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    constants: Mapping[str, str] = field(default_factory=dict)
    guess_email: bool = False
    require_key: bool = False
    region: str | None = None
    thank_you_url: str | None = None
    allowed_origins: tuple[str, ...] = ()
    double_submit_window: timedelta = timedelta(minutes=10)

    @property
    def names_read(self) -> frozenset[str]:
        """The names of all fields that mean something to this source."""
        lists = (
            self.email, self.phone, self.anonymous_id, self.user_id, self.form, self.page_url,
            self.idempotency_key, self.occurred_at, self.honeypot, self.test, self.secrets, self.ignore,
        )  # fmt: skip
        return frozenset().union(*lists, *self.traits.values())


@dataclass(frozen=True, slots=True)
class Sources:
    """All sources of one version of the configuration."""

    version: str
    by_name: Mapping[str, Source]
