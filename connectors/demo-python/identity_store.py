"""Step 1: people, groups and who belongs to which."""

from typing import Optional

from api import Fields
from lists import Paged
from wit_world.exports import identity_store
from wit_world.exports.identity_store import Group, Membership, Page, User
from wit_world.imports.access import Member, MemberKind
from wit_world.imports.types import Context, Tag


class Reader(identity_store.Reader):
    """Reads people first, then groups."""

    def __init__(self, context: Context):
        self.people = Paged("people", context)
        self.groups = Paged("groups", context)
        which, parted, place = (context.resume or "").partition(" ")
        if parted and which == "people":
            self.people.go_on(place)
        elif parted:
            self.people.ended = True
            self.groups.go_on(place)

    def next(self) -> Optional[Page]:
        listed = self.people.next()
        if listed:
            users = [_user(person) for person in listed.items]
            return Page(users=users, groups=[], memberships=[], gaps=listed.gaps, resume=self._resume())
        listed = self.groups.next()
        if not listed:
            return None
        memberships = [
            Membership(group_external_id=given.text("id"), member=member(of))
            for given in listed.items
            for of in given.texts("members")
        ]
        groups = [_group(given) for given in listed.items]
        return Page(users=[], groups=groups, memberships=memberships, gaps=listed.gaps, resume=self._resume())

    def _resume(self) -> Optional[str]:
        """Where another reader goes on behind the page that was just read; none behind the last."""
        if not self.people.ended:
            return f"people {self.people.place()}"
        return None if self.groups.ended else f"groups {self.groups.place()}"


def _user(person: Fields) -> User:
    return User(
        external_id=person.text("id"),
        user_name=person.text("login"),
        display_name=person.text("name"),
        email=person.optional_text("email"),
        enabled=person.flag("active"),
        machine=person.flag("machine"),
        tags=[Tag(key="department", value=person.text("department"), source="demo")],
    )


def _group(given: Fields) -> Group:
    return Group(
        external_id=given.text("id"),
        name=given.text("name"),
        display_name=given.text("title"),
        description="",
        incomplete=False,
        tags=[],
    )


def member(id: str) -> Member:
    """What an id stands for: the warehouse gives people, groups and roles ids that begin with different letters."""
    if id == "everyone":
        kind = MemberKind.SPECIAL
    elif id.startswith("g"):
        kind = MemberKind.GROUP
    elif id.startswith("r"):
        kind = MemberKind.ACCESS_CONTROL
    else:
        kind = MemberKind.USER
    return Member(
        kind=kind, id=id, inherits=True, assumable=False, may_pass_on=False, granted_by=None, expires_ms=None
    )
