"""The fault of settings that cannot be used, apart from what reads them, which takes long to load."""

from collections.abc import Sequence


class UnusableSettings(Exception):
    """`faults` name variables of the environment and what they must be; no values: one may be a password."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("settings cannot be used: " + "; ".join(faults))
        self.faults = list(faults)
