"""The people of the demonstration: made-up visitors with companies, jobs and tastes, from one seed."""

import random
import unicodedata
from dataclasses import dataclass

FIRST_NAMES = (
    "Ada", "Amara", "Anika", "Bruno", "Carla", "Chen", "Diego", "Elif", "Emil", "Farah", "Goran", "Hana",
    "Ines", "Ivan", "Jonas", "Kaito", "Lena", "Lucía", "Mats", "Mei", "Nadia", "Noor", "Olu", "Pavel",
    "Priya", "Ravi", "Sofia", "Søren", "Tamar", "Tomás", "Uma", "Viktor", "Wanda", "Yara", "Zoé",
)  # fmt: skip
LAST_NAMES = (
    "Abara", "Andersen", "Bianchi", "Costa", "Dubois", "Eriksson", "Fischer", "García", "Haddad", "Ito",
    "Jansen", "Kaya", "Kovač", "Larsen", "Lindqvist", "Mbeki", "Müller", "Nakamura", "Nowak", "Okafor",
    "Park", "Petrov", "Rossi", "Sato", "Schmidt", "Silva", "Singh", "Tan", "Varga", "Weber", "Yılmaz",
)  # fmt: skip
COMPANY_STEMS = (
    "Alder", "Birch", "Cobalt", "Delta", "Ember", "Fathom", "Granite", "Harbor", "Indigo", "Juniper",
    "Keystone", "Lumen", "Meridian", "Northwind", "Orchard", "Pinecrest", "Quarry", "Ridge", "Sable",
    "Tidewater", "Umber", "Vantage", "Willow", "Yarrow", "Zephyr",
)  # fmt: skip
COMPANY_KINDS = ("Analytics", "Energy", "Foods", "Health", "Labs", "Logistics", "Robotics", "Software")
INDUSTRIES = ("software", "manufacturing", "healthcare", "logistics", "retail", "finance")
COUNTRIES = ("DE", "GB", "FR", "SE", "US", "US", "CA", "BR", "SG", "JP", "AU", "IN")
TITLES = (
    "Head of Marketing", "VP Sales", "CTO", "Marketing Manager", "Operations Director",
    "Sales Operations Manager", "Software Engineer", "Student", "Assistant to the CEO", "Founder",
    "IT Director", "Demand Generation Manager",
)  # fmt: skip
SIZES = (12, 40, 85, 240, 600, 1_500, 4_200)
INTERESTS = ("routing", "scoring", "sla", "integrations")


@dataclass(frozen=True, slots=True)
class Visitor:
    """One made-up visitor; `anonymous_id` is what the site's cookie would hold."""

    anonymous_id: str
    first_name: str
    last_name: str
    company: str
    domain: str
    title: str
    country: str
    industry: str
    employees: int
    interest: str

    @property
    def email(self) -> str:
        return f"{_ascii(self.first_name)}.{_ascii(self.last_name)}@{self.domain}".lower()

    def form(self, message: str) -> dict[str, str]:
        """Return what this visitor types into the website's form."""
        return {
            "email": self.email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "company": self.company,
            "title": self.title,
            "country": self.country,
            "industry": self.industry,
            "employees": str(self.employees),
            "message": message,
            "anonymous_id": self.anonymous_id,
        }


def make_visitor(rng: random.Random, number: int) -> Visitor:
    """Return the visitor with this number; the number keeps addresses apart, the rest is drawn from `rng`."""
    stem, kind = rng.choice(COMPANY_STEMS), rng.choice(COMPANY_KINDS)
    return Visitor(
        anonymous_id=f"visitor-{number}-{rng.getrandbits(32):08x}",
        first_name=rng.choice(FIRST_NAMES),
        last_name=rng.choice(LAST_NAMES),
        company=f"{stem} {kind}",
        # A top-level domain that is reserved for examples: nobody's real mail.
        domain=f"{stem}-{kind}-{number}.example".lower(),
        title=rng.choice(TITLES),
        country=rng.choice(COUNTRIES),
        industry=rng.choice(INDUSTRIES),
        employees=rng.choice(SIZES),
        interest=rng.choice(INTERESTS),
    )


def _ascii(name: str) -> str:
    """Return the letters of `name` without their accents, for an address."""
    return "".join(c for c in unicodedata.normalize("NFKD", name) if c.isascii() and c.isalnum())
