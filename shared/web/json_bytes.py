"""JSON of answers that FastAPI does not write: what it spells one way, they spell so, too."""

from typing import Any

import orjson


def json_bytes(value: Any) -> bytes:
    """Return a value as JSON; instants in UTC end in `Z`, as FastAPI writes them."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)
