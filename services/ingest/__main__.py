"""`python -m services.ingest --role api|relay|timer`."""

import sys

from services.ingest.bootstrap import wire
from services.ingest.settings import IngestSettings
from shared.process import run_service

if __name__ == "__main__":
    sys.exit(run_service(wire, IngestSettings))
