"""What the last start of a service was told by its database, for a start while that is away."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from shared.whole_file import replace_file

log = structlog.get_logger()


class Told(msgspec.Struct, frozen=True):
    """`role`: under which the service works, None in an installation with one role; `epoch`: of the data."""

    role: str | None
    epoch: int


@dataclass(frozen=True, slots=True)
class LastStart:
    """A file of it; one that cannot be read or written is as good as none."""

    file: Path

    def read(self) -> Told | None:
        """Return what was told, None where there is nothing to go by."""
        try:
            return msgspec.json.decode(self.file.read_bytes(), type=Told)
        except (OSError, ValueError):
            return None

    def write(self, told: Told) -> None:
        """Keep it instead of what was there, whole or not at all."""
        try:
            replace_file(self.file, msgspec.json.encode(told))
        except OSError as error:
            log.warning("service.last_start_not_written", error_type=type(error).__name__)
