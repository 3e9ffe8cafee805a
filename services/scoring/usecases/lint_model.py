"""Turn a YAML scoring model into a Model, or into findings that name file, line, fault and fix."""

from services.scoring.domain.model import Model
from shared.config_file import ConfigDocument, ConfigFinding


def lint_model(document: ConfigDocument) -> Model | list[ConfigFinding]:
    """Return the model, or every fault found (never empty). The version is `<name>@<12 hex of its content>`."""
    raise AssertionError("body follows")
