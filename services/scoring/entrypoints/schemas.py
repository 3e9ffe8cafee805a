"""Request bodies of scoring's own doors."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.scoring.domain.identity import Identity


class MergeRequest(BaseModel):
    """Two leads that are one person."""

    model_config = ConfigDict(extra="forbid")

    lead_id: str = Field(max_length=100)
    other_lead_id: str = Field(max_length=100)


class IdentityRef(BaseModel):
    """One identity of a lead."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["user", "email"]
    value: str = Field(min_length=1, max_length=500)

    def identity(self) -> Identity:
        """Return it as the domain spells it."""
        return Identity(self.kind, self.value)


class UnmergeRequest(BaseModel):
    """Identities that belong to somebody else."""

    model_config = ConfigDict(extra="forbid")

    lead_id: str = Field(max_length=100)
    identities: list[IdentityRef] = Field(min_length=1, max_length=200)


class NeverLinkRequest(BaseModel):
    """Two identities that are two persons, whatever links them."""

    model_config = ConfigDict(extra="forbid")

    one: IdentityRef
    other: IdentityRef
