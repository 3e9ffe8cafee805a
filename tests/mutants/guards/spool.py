"""Guards of the spool: on disk before the answer, whole or not at all, deleted after it has arrived."""

from tests.mutants.mutant import Edit, Mutant

SPOOL = "shared/spool/spool.py"
DRAIN = "shared/spool/drain.py"
CHECKS = "tests/unit/shared/test_spool.py"

MUTANTS = (
    Mutant(
        "no fsync in the spool",
        "A record is on disk, not in memory alone, before it is acknowledged.",
        [Edit(SPOOL, "            os.fdatasync(self._descriptor)\n", "")],
        f"{CHECKS}::test_nothing_is_acknowledged_before_it_is_on_disk",
        r"assert \[\] == \[",
    ),
    Mutant(
        "torn records are trusted",
        "What a crash tore is not taken for a record.",
        [Edit("shared/spool/frames.py", "        if zlib.crc32(body) != crc:\n", "        if False:\n")],
        f"{CHECKS}::test_a_payload_with_a_wrong_bit_is_not_read",
        r"assert \[\(\d+, Entry",
    ),
    Mutant(
        "damaged files deleted",
        "A file is deleted when nothing is left in it but a write that a crash tore.",
        [Edit(DRAIN, "        if is_torn_write(file.read()):\n", "        if True:\n")],
        f"{CHECKS}::test_what_looks_like_a_record_within_a_damaged_one_is_none",
        r"assert \{.*\} == \{",
    ),
    Mutant(
        "records behind damage left",
        "What can be read behind a damaged record goes on.",
        [Edit(DRAIN, "        if behind:\n", "        if False:\n")],
        f"{CHECKS}::test_a_damaged_file_is_set_aside_and_not_deleted",
        r"assert 0 == 1",
    ),
    Mutant(
        "half-written records stay",
        "A write that fails is cut off again.",
        [Edit(SPOOL, "            os.ftruncate(self._descriptor, self.size)\n", "")],
        "tests/integration/ingest/test_spool.py::test_a_full_disk_is_a_503_and_leaves_nothing_half_written",
        r"assert \d+ == \d+",
    ),
    Mutant(
        "a file deleted before it has arrived",
        "A spool file goes when all of it has arrived.",
        [
            Edit(DRAIN, "        batches = _batches(", "        _forget(path)\n        batches = _batches("),
            Edit(DRAIN, "        await _in_thread(self._finish, path, file)\n", ""),
        ],
        f"{CHECKS}::test_what_cannot_arrive_yet_stays",
        r"assert \[b'later'\] == \[b'0'",
    ),
    Mutant(
        "drained from the start each time",
        "A file is gone on with where it was left, while this process lives.",
        [Edit(DRAIN, "_batches(file, self._reached.get(path, 0))", "_batches(file, 0)")],
        f"{CHECKS}::test_a_file_is_gone_on_with_where_it_was_left",
        "assert 5 == 3",
    ),
    Mutant(
        "drained under its writer",
        "A file that somebody writes to is drained by nobody else.",
        [Edit(DRAIN, "        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n", "")],
        f"{CHECKS}::test_a_file_that_its_writer_still_holds_is_left_alone",
        "assert 2 == 0",
    ),
    Mutant(
        "a breaker that never opens",
        "Once bus or database are away, callers do not wait for them.",
        [Edit("services/ingest/adapters/guards.py", "        self._failures += 1\n", "")],
        "tests/unit/ingest/test_guards.py::test_where_others_find_out_no_caller_tries",
        "assert 2 == 1|DID NOT RAISE",
    ),
)  # fmt: skip
