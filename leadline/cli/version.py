"""`leadline version`."""

import importlib.metadata
import platform

from leadline.cli.options import AsJson
from leadline.cli.output import show


def version(as_json: AsJson = False) -> None:
    """Show the version of Leadline and of Python."""
    facts = {"leadline": importlib.metadata.version("leadline"), "python": platform.python_version()}
    show(facts, as_json=as_json)
