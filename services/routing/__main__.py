"""`python -m services.routing --role api|worker|relay|timer`."""

import sys

from services.routing.bootstrap import wire
from services.routing.settings import RoutingSettings
from shared.process import run_service

if __name__ == "__main__":
    sys.exit(run_service(wire, RoutingSettings))
