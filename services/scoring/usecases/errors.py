"""What a command can be refused for; `code` is stable, the text is for the caller."""


class Refused(ValueError):
    """The command cannot be carried out as asked."""

    code = "refused"


class UnknownLead(Refused):
    """No lead has this id."""

    code = "unknown_lead"


class NotMergeable(Refused):
    """Nothing that may join ties the two leads together (role addresses, hubs), or they are one already."""

    code = "not_mergeable"


class NotSplittable(Refused):
    """The named identities are not a proper part of the lead."""

    code = "not_splittable"
