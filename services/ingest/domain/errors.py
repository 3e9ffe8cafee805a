"""What can be wrong with one item. Codes are stable; no text ever quotes what was sent."""


class Unmappable(Exception):
    """One item cannot become an activity: it is parked under `code`, at the JSON pointer `pointer`."""

    def __init__(self, code: str, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.pointer = pointer


class Malformed(Exception):
    """A body is not in any form that we can read."""
