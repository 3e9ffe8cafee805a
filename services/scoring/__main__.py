"""`python -m services.scoring --role api|worker|relay|timer`."""

import sys

from services.scoring.bootstrap import wire
from services.scoring.settings import ScoringSettings
from shared.process import run_service

if __name__ == "__main__":
    sys.exit(run_service(wire, ScoringSettings))
