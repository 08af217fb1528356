"""What can go wrong with an object store, said so that its owner knows what to do."""

import re

_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]{1,40})")
_NO_PLACE = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_DEEPEST = (
    (re.compile(r"InvalidCertificate\(\s*(\w{1,40})"), "its certificate is not trusted ({})"),
    (re.compile(r'(?:message|error): "([^"]{1,160})"'), "{}"),
    (re.compile(r"\b(TimedOut|Timeout)\b"), "it does not answer in time"),
)
"""What the library says only in its account of all causes, and how we say it."""
_URL = re.compile(r"https?://\S+")


class StoreError(Exception):
    """The store cannot do what was asked.

    Args:
        message: what happened, without any credential.
        hint: what to do about it.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        self.message, self.hint = message, hint
        super().__init__(message)


class ChangedError(StoreError):
    """The object is not the one any more that was found: somebody replaced it meanwhile."""


def names_no_place(error: BaseException) -> bool:
    """Tell whether an answer `not found` is about the bucket and not about an object."""
    text = str(error)
    return any(words in text for words in _NO_PLACE)


def refused(error: BaseException, *, where: str) -> StoreError:
    """Return the error for an answer 401 or 403."""
    return StoreError(
        f"The object store {where} refuses us ({cause(error)}).",
        hint="Check that the credentials are set, are of this store and may read, write, list and delete below it.",
    )


def missing(*, where: str) -> StoreError:
    """Return the error for a bucket that does not exist."""
    return StoreError(
        f"There is no bucket (or container) for {where}.", hint="Create it, or correct the address of the object store."
    )


def unreachable(error: BaseException, *, where: str) -> StoreError:
    """Return the error for a store that does not answer, or not as it should."""
    return StoreError(
        f"The object store {where} cannot be used: {cause(error)}.",
        hint="Check that it runs, and its address, endpoint and region, the network between, and its certificate.",
    )


def cause(error: BaseException) -> str:
    """Return a short reason: the answer's status and code, the deepest cause, else the first line.

    Keys and signatures are in none of them.
    """
    text = str(error)
    found = [match.group(1).strip() for pattern in (_STATUS, _CODE) if (match := pattern.search(text))]
    if found:
        return ", ".join(found)
    for pattern, words in _DEEPEST:
        if match := pattern.search(text):
            return words.format(match.group(1))
    line = text.partition("\n")[0].partition("<")[0]
    return _URL.sub(lambda match: match.group(0).partition("?")[0], line)[:300].strip(" .-") or type(error).__name__
