"""Bodies of ingest's own API."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Repair(BaseModel):
    """A correction: `body` replaces the item, `fields` are merged into it (null removes a field)."""

    model_config = ConfigDict(extra="forbid")

    body: Any = Field(default=None, description="The whole item as it should have been.")
    fields: dict[str, Any] | None = Field(default=None, description="Fields to set; null removes one.")

    @model_validator(mode="after")
    def _names_something(self) -> "Repair":
        if self.body is None and not self.fields:
            raise ValueError("give `body` or `fields`")
        return self


class BulkReplay(BaseModel):
    """Which held items to replay; `after` goes on where the last answer's `next` ended."""

    model_config = ConfigDict(extra="forbid")

    reason: str | None = Field(default=None, max_length=100, description="Code of the reason, else any.")
    source: str | None = Field(default=None, max_length=100, description="Name of the source, else any.")
    after: str = Field(default="", max_length=100)
    limit: int = Field(default=1000, ge=1, le=5000)
