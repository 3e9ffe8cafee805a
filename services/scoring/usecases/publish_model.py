"""Publish a scoring model: checked, then immutable under a new version number."""

from dataclasses import dataclass
from datetime import datetime

from services.scoring.domain.model import Model
from services.scoring.usecases.lint_model import lint_model
from shared.config_file import ConfigError, parse


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """One published version with its YAML text."""

    version: int
    document: str
    published_at: datetime
    actor: str


def read_model(document: str, *, file: str) -> Model:
    """Return the model of a YAML text; raise ConfigError with every finding where it is refused."""
    found = lint_model(parse(document, file=file))
    if isinstance(found, list):
        raise ConfigError(found)
    return found
