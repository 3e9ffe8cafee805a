"""`.env.example` from the settings classes: `python -m tests.support.env_example > .env.example`."""

import importlib
import sys
import textwrap
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from shared.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[2]


def settings_classes() -> list[type[ServiceSettings]]:
    """Return the shared settings class and those of the services that have one."""
    for path in sorted((ROOT / "services").glob("*/settings.py")):
        importlib.import_module(f"services.{path.parent.name}.settings")
    return [ServiceSettings, *sorted(ServiceSettings.__subclasses__(), key=lambda cls: cls.__module__)]


def render() -> str:
    """Return the text of `.env.example`: every variable once, with its meaning and default."""
    lines = ["# Settings of Leadline. Each line shows a variable with its default; all are optional."]
    seen: set[str] = set()
    for cls in settings_classes():
        own = {name: field for name, field in cls.model_fields.items() if name not in seen}
        seen |= set(own)
        lines += ["", f"# --- {'all services' if cls is ServiceSettings else cls.__module__.split('.')[1]}"]
        for name, field in own.items():
            assert field.description, f"{cls.__name__}.{name} has no description"
            lines += ["", *textwrap.wrap(field.description, 100, initial_indent="# ", subsequent_indent="# ")]
            lines.append(f"# LEADLINE_{name.upper()}={_shown(field.get_default(call_default_factory=True))}")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.stdout.write(render())
