"""All mutants. A new guard of the spine comes with a line here, in the module of its part."""

from tests.mutants.guards import bus, consumers, ingest, outbox, routing, scoring

MUTANTS = (
    *consumers.MUTANTS,
    *outbox.MUTANTS,
    *bus.MUTANTS,
    *ingest.MUTANTS,
    *scoring.MUTANTS,
    *routing.MUTANTS,
)
