"""Whether models carry the docstrings of their fields as descriptions.

Schemas and documentation need them. Reading them out of the source takes longer than all else that a short command
imports, so one that shows no schema leaves them out before it imports the first model.
"""

_wanted = True


def are_wanted() -> bool:
    """Tell whether a model that is defined now gets descriptions."""
    return _wanted


def leave_out() -> None:
    """Give none to the models that are defined from now on, in this process."""
    global _wanted  # noqa: PLW0603 - one fact of the process, set before anything reads it
    _wanted = False
