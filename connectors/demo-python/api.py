"""Calls of the warehouse's API: an entry of the manifest with values, and what its answer means."""

import json
from typing import Any, Dict, List, Optional
from urllib.parse import unquote

from componentize_py_types import Err
from wit_world.imports import http
from wit_world.imports.types import Argument, Call, Fault, FaultKind, Value, Value_Integer, Value_Text

SLOT = "http.api"


def fault(kind: FaultKind, message: str) -> Err[Fault]:
    """What to raise for a fault: the bindings hand the value of an `Err` to the host."""
    return Err(Fault(kind=kind, message=message, retry_after_ms=None))


def call(entry: str, **values: Value) -> Call:
    """A call of an entry. What is not given is an absent argument."""
    arguments = [Argument(name=name, value=value) for name, value in values.items()]
    return Call(slot=SLOT, entry=entry, at=None, arguments=arguments)


def text(value: str) -> Value:
    """A text for a placeholder."""
    return Value_Text(value)


def integer(value: int) -> Value:
    """A whole number for a placeholder."""
    return Value_Integer(value)


class Answer:
    """An answer with a good status."""

    def __init__(self, entry: str, reply: http.Reply):
        """Takes an answer, or raises the fault that its status means."""
        status = reply.status
        if not 200 <= status <= 299:
            raise fault(_meaning(status), f"{entry} was answered with status {status}")
        self.entry = entry
        self._headers: Dict[str, str] = {header.name: header.value for header in reply.headers}
        self._body = reply.body

    def header(self, name: str) -> Optional[str]:
        """A header field, by its name in lower case."""
        return self._headers.get(name)

    def json(self) -> "Fields":
        """The body, which is an object."""
        try:
            value = json.loads(self._body)
        except ValueError as error:
            raise _not_understood(self.entry, str(error)) from error
        return Fields(self.entry, value)


def _meaning(status: int) -> FaultKind:
    if status in (401, 403):
        return FaultKind.UNAUTHORIZED
    if status == 404:
        return FaultKind.INCOMPLETE
    if status in (409, 412):
        return FaultKind.CONFLICT
    if status in (408, 429) or 500 <= status <= 599:
        return FaultKind.UNAVAILABLE
    return FaultKind.INTERNAL


def get(entry: str, **values: Value) -> Answer:
    """Sends a read route."""
    done = http.send(call(entry, **values))
    if done.reply is None:
        raise fault(FaultKind.INTERNAL, f"{entry} was recorded and not sent")
    return Answer(entry, done.reply)


def _not_understood(entry: str, reason: str) -> Err[Fault]:
    return fault(FaultKind.INTERNAL, f"the answer to {entry} is not understood: {reason}")


class Fields:
    """The members of a JSON object, each taken with the type that it must have.

    What a target answers is checked here, once: an exception that is no fault would end the connector.
    """

    def __init__(self, entry: str, value: Any):
        if not isinstance(value, dict):
            raise _not_understood(entry, "it is no object")
        self._entry = entry
        self._value = value

    def _of(self, name: str, *kinds: type) -> Any:
        if name not in self._value:
            raise _not_understood(self._entry, f"{name} is missing")
        value = self._value[name]
        # For Python, true and false are whole numbers too.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise _not_understood(self._entry, f"{name} is of another type")
        return value

    def text(self, name: str) -> str:
        """A text."""
        return self._of(name, str)

    def optional_text(self, name: str) -> Optional[str]:
        """A text, or null. That it is missing is neither."""
        return self._of(name, str, type(None))

    def flag(self, name: str) -> bool:
        """True or false."""
        return self._of(name, bool)

    def number(self, name: str) -> int:
        """A whole number from 0 on."""
        value = self.optional_number(name)
        if value is None:
            raise _not_understood(self._entry, f"{name} is null")
        return value

    def optional_number(self, name: str) -> Optional[int]:
        """A whole number from 0 on, or null."""
        value = self._of(name, int, type(None))
        if value is not None and not 0 <= value < 2**63:
            raise _not_understood(self._entry, f"{name} is no number that can be")
        return value

    def texts(self, name: str) -> List[str]:
        """A list of texts."""
        values = self._of(name, list)
        if not all(isinstance(value, str) for value in values):
            raise _not_understood(self._entry, f"{name} has something that is no text")
        return values

    def objects(self, name: str) -> List["Fields"]:
        """A list of objects."""
        return [Fields(self._entry, value) for value in self._of(name, list)]


def next_cursor(link: str, parameter: str) -> Optional[str]:
    """The value of a query parameter of the `next` link in a `Link` header (RFC 8288): where the next page begins."""
    for part in link.split(","):
        target, closed, attributes = part.strip().removeprefix("<").partition(">")
        if not closed or not any(word.strip() in ('rel="next"', "rel=next") for word in attributes.split(";")):
            continue
        for pair in target.partition("?")[2].split("&"):
            key, _, value = pair.partition("=")
            if key == parameter:
                return unquote(value, errors="strict")
    return None
