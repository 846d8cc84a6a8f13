"""Step 4: carrying out changes.

Each change becomes calls; the first that fails ends the change-set, and the host learns how many changes were done.
"""

from typing import Dict, List, Optional

from api import Answer, call, fault, text
from componentize_py_types import Err
from wit_world.exports.access_to_target import (
    Applied,
    Change,
    Change_AddMembers,
    Change_ClearPolicy,
    Change_Create,
    Change_Delete,
    Change_Describe,
    Change_Grant,
    Change_RemoveMembers,
    Change_Rename,
    Change_Revoke,
    Change_SetPolicy,
    ChangeSet,
)
from wit_world.imports import http
from wit_world.imports.access import AccessEntry, MemberKind, What
from wit_world.imports.types import (
    Call,
    Fault,
    FaultKind,
    Value,
    Value_Captured,
    Value_Items,
    Value_Keywords,
    Value_Text,
)

# Entries whose work is done where the warehouse knows nothing of what they are about: a member who is gone, a grant that is
# revoked.
TAKING = ("remove-member", "revoke", "clear-mask", "delete-role")


def apply(change_set: ChangeSet) -> Applied:
    """Carries out one change-set."""
    done = 0
    role = _Role(change_set)
    failed: Optional[Fault] = None
    try:
        if change_set.entries is not None and change_set.kind == "dataset-access":
            # The list is replaced as a whole, so all of its changes are done at once or not at all.
            _send(_replace_entries(change_set, change_set.entries))
            done = len(change_set.changes)
        else:
            for change in change_set.changes:
                for prepared in _calls(change_set, role, change):
                    role.created(_send(prepared))
                done += 1
    except Err as error:
        failed = error.value
    return Applied(
        external_id=role.shown(), actual_name=change_set.actual_name, done=done, fault=failed, warnings=[]
    )


class _Role:
    """The role's id: known, or a token for the one that the warehouse will give."""

    def __init__(self, change_set: ChangeSet):
        self._known = change_set.external_id
        self._token: Optional[str] = None

    def created(self, token: Optional[str]) -> None:
        """Takes the token of a role that was just created, where there is one."""
        self._token = token or self._token

    def value(self) -> Value:
        """What to give for the role in a call."""
        if self._token is not None:
            return Value_Captured(self._token)
        if self._known is not None:
            return Value_Text(self._known)
        raise fault(FaultKind.INTERNAL, "a change of a role that does not exist yet")

    def shown(self) -> Optional[str]:
        """The id for the host, which knows its tokens."""
        return self._token or self._known


def _send(prepared: Call) -> Optional[str]:
    """Sends a call, and gives the token of the id that its answer holds, where it declares one."""
    done = http.send(prepared)
    if done.reply is not None and not (done.reply.status == 404 and prepared.entry in TAKING):
        Answer(prepared.entry, done.reply)
    return done.captures[0][1] if done.captures else None


def _calls(change_set: ChangeSet, role: _Role, change: Change) -> List[Call]:
    """The calls that carry out a change of a role or a mask."""
    match change:
        case Change_Create(control) if control.kind == "role":
            name, comment = text(change_set.actual_name), text(change_set.description)
            return [call("create-role", name=name, comment=comment)]
        case Change_Rename(name):
            return [call("rename-role", role=role.value(), name=text(name))]
        case Change_Describe(description):
            return [call("describe-role", role=role.value(), comment=text(description))]
        case Change_AddMembers(members):
            return [call("add-member", role=role.value(), member=text(member.id)) for member in members]
        case Change_RemoveMembers(members):
            return [call("remove-member", role=role.value(), member=text(member.id)) for member in members]
        case Change_Grant(facts):
            return _on_tables("grant", role, facts)
        case Change_Revoke(facts):
            return _on_tables("revoke", role, facts)
        case Change_Delete():
            return [call("delete-role", role=role.value())]
        case Change_SetPolicy(policy):
            lines = [[("member", entry.member.id)] for entry in change_set.entries or []]
            kind = Value_Keywords([policy.kind])
            return [call("set-mask", **_column(change_set), kind=kind, members=Value_Items(lines))]
        case Change_ClearPolicy():
            return [call("clear-mask", **_column(change_set))]
        case _:
            raise fault(FaultKind.INTERNAL, "the demo warehouse has no such change")


def _column(change_set: ChangeSet) -> Dict[str, Value]:
    """The column of a mask."""
    path = change_set.object.path if change_set.object else []
    if len(path) != 3:
        raise fault(FaultKind.INTERNAL, "a mask is of a column")
    return dict(zip(("dataset", "table", "column"), map(text, path)))


def _on_tables(entry: str, role: _Role, facts: List[What]) -> List[Call]:
    """One call for each permission on each table."""
    calls = []
    for what in facts:
        if len(what.object.path) != 2:
            continue
        dataset, table = map(text, what.object.path)
        for permission in what.permissions:
            word = Value_Keywords([permission.name])
            calls.append(call(entry, role=role.value(), dataset=dataset, table=table, permission=word))
    return calls


def _replace_entries(change_set: ChangeSet, entries: List[AccessEntry]) -> Call:
    """The call that replaces a dataset's list under the version that the changes were decided on."""
    lines = []
    for entry in entries:
        principal = "everyone" if entry.member.kind == MemberKind.SPECIAL else entry.member.id
        for permission in entry.permissions:
            lines.append([("principal", principal), ("permission", permission.name)])
    path = change_set.object.path if change_set.object else []
    values: Dict[str, Value] = {"dataset": text(path[0] if path else ""), "entries": Value_Items(lines)}
    if change_set.version is not None:
        values["version"] = text(change_set.version)
    return call("replace-access", **values)
