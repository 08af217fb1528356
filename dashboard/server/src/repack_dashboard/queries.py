"""Which tasks a list shows, in which order and which part of it. Pure."""

import base64
import binascii
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from repack_contract.phases import Phase
from repack_contract.source import Source
from repack_contract.views import TaskList, TaskView

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Filter:
    """What a user asked to see; each None or empty part asks for nothing."""

    namespace: str | None = None
    name: str | None = None
    phases: Collection[Phase] = ()
    text: str | None = None

    def shows(self, view: TaskView) -> bool:
        """Tell whether the task is among what was asked for."""
        return (
            (self.namespace is None or view.namespace == self.namespace)
            and (self.name is None or view.name == self.name)
            and (not self.phases or phase_of(view) in self.phases)
            and (not self.text or self.text.casefold() in _words(view))
        )


def phase_of(view: TaskView) -> Phase:
    """Return the phase; a task without a status waits to be seen by the operator."""
    return view.status.phase or Phase.PENDING


def page(views: Iterable[TaskView], wish: Filter, *, limit: int, after: str | None) -> TaskList:
    """Return a part of the tasks, newest first; `after` is the `continue` of the part before.

    Raises:
        ValueError: `after` is none of ours.
    """
    everything = list(views)
    matching = sorted((view for view in everything if wish.shows(view)), key=_age, reverse=True)
    rest = matching if after is None else [view for view in matching if _age(view) < _position(after)]
    items = rest[:limit]
    return TaskList(
        items=items,
        total=len(matching),
        counts=dict(Counter(phase_of(view) for view in everything)),
        continue_=_token(items[-1]) if len(rest) > limit else None,
    )


def source_words(source: Source) -> str:
    """Return the source as the words by which a user would look for it."""
    parts = (source.marketplace, source.github, source.url, source.upload)
    return " ".join(str(value) for part in parts if part for value in part.model_dump(exclude_none=True).values())


def _words(view: TaskView) -> str:
    plugin = view.status.plugin
    about = [plugin.display_name, plugin.author, plugin.name, plugin.version] if plugin else []
    words = [view.name, view.namespace, view.uid, source_words(view.spec.source), view.status.reason, *about]
    return " ".join(word for word in words if word).casefold()


def _age(view: TaskView) -> tuple[datetime, str]:
    return view.created_at or _LONG_AGO, view.uid


def _token(view: TaskView) -> str:
    moment, uid = _age(view)
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {uid}".encode()).decode()


def _position(token: str) -> tuple[datetime, str]:
    try:
        moment, _, uid = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
        return datetime.fromisoformat(moment).astimezone(UTC), uid
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise ValueError("this `continue` is none that this server gave") from error
