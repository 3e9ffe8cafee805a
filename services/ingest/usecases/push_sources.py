"""Makes a sources file the active one, if it is sound."""

from hashlib import sha256

from services.ingest.domain.source import Sources
from services.ingest.usecases.lint_sources import lint
from services.ingest.usecases.ports import SourceConfigs
from shared.config_file import ConfigError, parse


def read_sources(text: str, *, file: str = "sources.yaml") -> Sources:
    """Return the sources of a file; raise ConfigError naming file, line and fix."""
    result = lint(parse(text, file=file), version=version_of(text))
    if isinstance(result, list):
        raise ConfigError(result)
    return result


def version_of(text: str) -> str:
    """Return the version of a text: its digest, so that the same file is the same version."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


async def push_sources(text: str, configs: SourceConfigs, *, actor: str) -> Sources:
    """Check, keep and activate a sources file; raise ConfigError where it is not sound."""
    sources = read_sources(text)
    await configs.activate(sources.version, text, actor=actor)
    return sources
