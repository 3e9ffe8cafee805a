"""A part of a run: a thread that remembers what went wrong in it."""

import threading


class Part(threading.Thread):
    """Does its `work` in a thread of its own; whoever joins it looks at `failed`."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.failed: BaseException | None = None

    def work(self) -> None:
        """Do everything; what it raises ends the run."""
        raise NotImplementedError

    def run(self) -> None:
        try:
            self.work()
        except BaseException as failed:
            self.failed = failed
