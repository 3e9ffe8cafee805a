"""What an exit status of the command line means; scripts may rely on them."""

from collections.abc import Mapping, Sequence
from typing import Any

OK = 0
CHECK_FAILED = 1
USAGE = 2
CONFIG_INVALID = 3
UNREACHABLE = 4
NOT_ALLOWED = 5
CONFLICT = 6
PARTIAL = 7
BUG = 70
INTERRUPTED = 130


class CommandFailed(Exception):
    """Ends a command with `code`; the message is a sentence for a person, `fix` a command to type next.

    `errors` are the faults one by one, for those who asked for JSON.
    """

    def __init__(
        self, message: str, code: int, fix: str = "", *, errors: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.fix = fix
        self.errors = list(errors)
