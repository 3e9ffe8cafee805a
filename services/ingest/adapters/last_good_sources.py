"""The last good sources file on disk: what the form door goes by while it starts without its database."""

from pathlib import Path

import structlog

from shared.whole_file import replace_file

log = structlog.get_logger()


class LastGoodSources:
    """A file; one that cannot be read or written is as good as none, and costs no request."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> str | None:
        """Return the text, None where there is none."""
        try:
            return self._file.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    def write(self, text: str) -> None:
        """Keep a text instead of the one before, whole or not at all."""
        try:
            replace_file(self._file, text.encode())
        except OSError as error:
            log.warning("ingest.last_good_sources_not_written", error_type=type(error).__name__)

    def not_understood(self) -> None:
        """Say that the file is there and of no use to this release."""
        log.warning("ingest.last_good_sources_not_understood")
