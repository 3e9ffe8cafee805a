"""All mutants. A new guard of the spine comes with a line here, in the module of its part."""

from tests.mutants.guards import bus, consumers, ingest, kafka, outbox, routing, scoring, spool

MUTANTS = (
    *consumers.MUTANTS,
    *outbox.MUTANTS,
    *bus.MUTANTS,
    *kafka.MUTANTS,
    *ingest.MUTANTS,
    *spool.MUTANTS,
    *scoring.MUTANTS,
    *routing.MUTANTS,
)
