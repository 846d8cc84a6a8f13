"""Step 5: the usage log."""

from typing import Optional

from api import Fields, get
from data_source import object_ref
from lists import Paged
from wit_world.exports import data_usage
from wit_world.exports.data_usage import Access, Coverage, Page, Statement
from wit_world.imports.types import Context


class Reader(data_usage.Reader):
    """Reads the log from a time on."""

    def __init__(self, context: Context, since_ms: Optional[int]):
        about = get("about").json()
        begin, end = about.optional_number("usage_from_ms"), about.optional_number("usage_to_ms")
        self._coverage: Optional[Coverage] = None
        if begin is not None and end is not None:
            self._coverage = Coverage(from_ms=min(max(begin, since_ms or 0), end), to_ms=end)
        self.usage = Paged("usage", context, since_ms)

    def coverage(self) -> Optional[Coverage]:
        return self._coverage

    def next(self) -> Optional[Page]:
        listed = self.usage.next()
        if not listed:
            return None
        return Page(statements=[_statement(given) for given in listed.items], gaps=listed.gaps, resume=None)


def _statement(given: Fields) -> Statement:
    accessed = [
        Access(object=object_ref("table", used.texts("path")), action=used.text("action"))
        for used in given.objects("objects")
    ]
    return Statement(
        external_id=given.text("id"),
        user=given.text("person"),
        role=given.optional_text("role"),
        text=given.text("text"),
        within=None,
        started_ms=given.number("started_ms"),
        ended_ms=given.number("ended_ms"),
        success=given.flag("ok"),
        calls=1,
        precise=True,
        accessed=accessed,
        bytes=None,
        rows=given.number("rows"),
    )
