"""`leadline topics`: the registry's topics on Apache Kafka."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadline.cli.exit_codes import CHECK_FAILED, UNREACHABLE, USAGE, CommandFailed
from leadline.cli.groups import group
from leadline.cli.options import AsJson
from leadline.cli.output import print_json, show, table

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from shared.bus.kafka.options import KafkaOptions

app = group()


@app.command("create")
def create(
    copies: Annotated[
        int | None,
        typer.Option(
            min=1, help="Copies of each topic, for good; else one a broker that is there, at most 3."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create the topics that the cluster does not have yet; those that exist are left as they are."""
    from shared.bus.kafka import survey, topics

    options = _options()
    try:
        made = _ask(topics.create(options, copies=copies))
    except topics.CannotCreate as refused:
        raise CommandFailed(
            f"Kafka refuses a topic: {refused}", CHECK_FAILED, "may this user create topics?"
        ) from refused
    problems = survey.problems(options, _ask(survey.survey(options)))
    show({"created": list(made), "problems": list(problems)}, as_json=as_json)


@app.command("check")
def check(as_json: AsJson = False) -> None:
    """Compare the cluster with the registry; exit 1 where they differ or a lost broker could lose events."""
    from shared.bus.kafka import survey

    options = _options()
    problems = survey.problems(options, _ask(survey.survey(options)))
    if as_json:
        print_json({"problems": problems})
    for problem in problems if not as_json else ():
        print(problem)
    if problems:
        raise typer.Exit(CHECK_FAILED)
    if not as_json:
        print("every topic is there as the registry wants it")


@app.command("lag")
def lag(as_json: AsJson = False) -> None:
    """Show how far each group is behind, as it has told the cluster (every few seconds, for displays)."""
    from shared.bus.kafka import topics

    rows = _ask(topics.lag(_options()))
    if as_json:
        print_json(rows)
    else:
        table(rows, ["group", "topic", "behind"])


def _options() -> "KafkaOptions":
    from shared.bus.choice import kafka_options
    from shared.settings import ServiceSettings

    settings = ServiceSettings()
    if settings.bus != "kafka":
        raise CommandFailed(
            "the bus is PostgreSQL, which has its topics from the migrations",
            USAGE,
            "LEADLINE_BUS=kafka LEADLINE_KAFKA_BOOTSTRAP=host:9092 leadline topics ...",
        )
    try:
        return kafka_options(settings)
    except ValueError as wrong:
        raise CommandFailed(str(wrong), USAGE, "see the settings of Kafka in .env.example") from wrong


def _ask(question: "Coroutine[Any, Any, Any]") -> Any:
    from shared.bus.kafka.topics import TooFewBrokers
    from shared.bus.port import BusForbids, BusUnavailable

    try:
        return asyncio.run(question)
    except TooFewBrokers as fewer:
        raise CommandFailed(str(fewer), CHECK_FAILED, "are all brokers up? ask for fewer --copies") from fewer
    except BusForbids as forbidden:
        raise CommandFailed(
            f"Kafka does not let this user do that ({forbidden})", CHECK_FAILED, "give it the rights"
        ) from forbidden
    except BusUnavailable as away:
        raise CommandFailed(
            f"Kafka cannot be reached ({away})",
            UNREACHABLE,
            "are LEADLINE_KAFKA_BOOTSTRAP and what it asks for (LEADLINE_KAFKA_SECURITY ...) right?",
        ) from away
