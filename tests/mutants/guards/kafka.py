"""Guards of the Kafka adapter: what its clients are told, and when something counts as sent or read."""

from tests.mutants.mutant import Edit, Mutant

OPTIONS = "shared/bus/kafka/options.py"
MEMBER = "shared/bus/kafka/member.py"
SETTINGS = "tests/unit/shared/test_kafka_options.py"
ENDING = "tests/unit/shared/test_kafka_ending.py"
PITFALLS = "tests/integration/shared/bus/test_kafka_pitfalls.py"

MUTANTS = (
    Mutant(
        "auto-commit on",
        "Offsets are committed when asked, for displays: never for what was fetched and perhaps not handled.",
        [Edit(OPTIONS, '"enable_auto_commit": False', '"enable_auto_commit": True')],
        f"{SETTINGS}::test_a_reader_never_begins_at_the_end_and_never_commits_unasked",
        r"'none', True\) == \('none', False",
    ),
    Mutant(
        "an idempotent producer",
        "Idempotence is off: with it sends hang while brokers are away, or fail for ever afterwards.",
        [Edit(OPTIONS, '"enable_idempotence": False', '"enable_idempotence": True')],
        f"{SETTINGS}::test_the_producer_waits_for_all_copies_and_keeps_no_sequence",
        r"'all', True\) == \('all', False",
    ),
    Mutant(
        "one copy suffices",
        "A message is acknowledged when every copy in sync has it.",
        [Edit(OPTIONS, '"acks": "all"', '"acks": 1')],
        f"{SETTINGS}::test_the_producer_waits_for_all_copies_and_keeps_no_sequence",
        r"\(1, False\) == \('all', False",
    ),
    Mutant(
        "acknowledged before the brokers have it",
        "An append returns when the brokers have acknowledged every batch of it.",
        [Edit("shared/bus/kafka/producer.py", "        await asyncio.gather(*sent)\n", "")],
        f"{PITFALLS}::test_numbers_of_a_key_stay_in_order_through_a_freeze_of_the_broker",
        "DID NOT RAISE .*BusUnavailable",
    ),
    Mutant(
        "missing seek",
        "Each poll reads at the position that the consumer names, whatever the library has read before.",
        [Edit(MEMBER, "                self._consumer.seek(place, at)\n", "                pass\n")],
        f"{PITFALLS}::test_a_position_named_again_is_read_again",
        "not what lies at the position",
    ),
    Mutant(
        "a reader that begins anew by itself",
        "A position that is not kept any more is an error, never a silent step to what is.",
        [Edit(OPTIONS, '"auto_offset_reset": "none"', '"auto_offset_reset": "earliest"')],
        f"{PITFALLS}::test_retention_that_overtakes_a_reader_is_an_error_and_skips_nothing",
        "DID NOT RAISE .*OffsetOutOfRange",
    ),
    Mutant(
        "a membership that came to grief kept",
        "A member whose poll failed is left behind: the library does not start its tasks again.",
        [
            Edit(
                "shared/bus/kafka/subscription.py",
                "        except BusUnavailable:\n            await self._drop()\n",
                "        except BusUnavailable:\n",
            )
        ],
        f"{PITFALLS}::test_a_membership_whose_own_task_has_ended_is_left_for_another",
        "what was written afterwards",
    ),
    Mutant(
        "retention by the clocks of clients",
        "How old a message is goes by the brokers' clock: a client's wrong one drops nothing.",
        [
            Edit(
                "shared/bus/kafka/survey.py",
                '"message.timestamp.type": APPENDED',
                '"segment.ms": "604800000"',
            )
        ],
        f"{PITFALLS}::test_a_client_whose_clock_is_wrong_does_not_make_its_events_old",
        r"< .*timedelta\(",
    ),
    Mutant(
        "a call ended by a cancellation of the library's",
        "Only who was told to end ends: the library cancels tasks of its own, and lets that out.",
        [
            Edit(
                "shared/bus/kafka/faults.py",
                "        if task is None or task.cancelling():\n            raise\n",
                "        raise\n",
            )
        ],
        f"{ENDING}::test_a_call_whose_task_the_library_cancels_is_a_bus_that_is_away",
        "cancelled by nobody",
    ),
    Mutant(
        "an ending ended by a cancellation of the library's",
        "The same where a client is closed.",
        [
            Edit(
                "shared/bus/kafka/ending.py",
                "    if not ending.done() or ending.cancelled():",
                "    if not ending.done():",
            )
        ],
        f"{ENDING}::test_a_stop_that_lets_a_cancellation_out_is_no_cancellation_of_ours",
        "cancelled by nobody",
    ),
    Mutant(
        "a damaged batch left the group for",
        "A batch damaged on a broker's disk holds up its partition, not the whole member.",
        [
            Edit(
                "shared/bus/kafka/subscription.py",
                "        except Damaged:\n            raise\n",
                "",
            )
        ],
        f"{PITFALLS}::test_a_batch_that_is_damaged_on_a_disk_holds_up_its_partition_alone",
        "it left the group",
    ),
)
