"""The warehouse's lists: page after page, and a word when a list is shorter than it says."""

from typing import List, NamedTuple, Optional

from api import Fields, fault, get, integer, next_cursor, text
from wit_world.imports.types import Context, FaultKind, Gap


def setting(context: Context, key: str) -> str:
    """A setting of the target: the host has checked it against the manifest."""
    return next((setting.value for setting in context.settings if setting.key == key), "")


class Listed(NamedTuple):
    """One page of a list."""

    items: List[Fields]
    # What is missing, known at the end of the list.
    gaps: List[Gap]


class Paged:
    """A list that is read page by page."""

    def __init__(self, entry: str, context: Context, since: Optional[int] = None):
        """The list that this entry reads; `since`: only what began at this time or later."""
        self.entry = entry
        self.limit = max(1, min(500, int(setting(context, "page-size") or 200)))
        self.since = since
        self.after: Optional[str] = None
        self.total: Optional[int] = None
        self.read = 0
        self.ended = False

    def place(self) -> str:
        """Where another reader of the same run goes on: how many came, how many were announced, and the cursor."""
        return f"{self.read} {'' if self.total is None else self.total} {self.after or ''}"

    def go_on(self, place: str) -> None:
        """Goes on at such a place."""
        try:
            read, total, after = place.split(" ", 2)
            self.read, self.total, self.after = int(read), int(total) if total else None, after or None
        except ValueError as error:
            raise fault(FaultKind.INTERNAL, f"{place!r} is no place of a list") from error

    def next(self) -> Optional[Listed]:
        """The next page; none at the end."""
        if self.ended:
            return None
        values = {"limit": integer(self.limit)}
        if self.after is not None:
            values["after"] = text(self.after)
        if self.since is not None:
            values["since"] = integer(self.since)
        answer = get(self.entry, **values)
        items = answer.json().objects("items")
        self.read += len(items)
        total = answer.header("x-total-count")
        if self.total is None and total is not None and total.isdecimal():
            self.total = int(total)
        link = answer.header("link")
        self.after = next_cursor(link, "after") if link else None
        self.ended = self.after is None
        return Listed(items, self._missing() if self.ended else [])

    def _missing(self) -> List[Gap]:
        """What a list that was read to its end lacks."""
        if self.total is None or self.read >= self.total:
            return []
        return [Gap(scope=None, reason=f"{self.entry}: {self.total} were announced and {self.read} came")]
