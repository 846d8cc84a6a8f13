"""Step 3: roles with their grants, access lists of datasets, and masks."""

from typing import Dict, List, Optional, Tuple

from api import Answer, Fields, get, text
from data_source import object_ref
from identity_store import member
from lists import Paged
from wit_world.exports import access_from_target
from wit_world.exports.access_from_target import Page, Part
from wit_world.imports.access import AccessControl, Action, Member, PermissionUse, Policy, What
from wit_world.imports.types import Context, Gap


# The permission that an empty list is told with, and nobody has.
OF_EMPTY_LIST = "read"


class Reader(access_from_target.Reader):
    """Reads roles, then their grants as parts, then the access lists of datasets, then masks."""

    def __init__(self, context: Context):
        self.roles = Paged("roles", context)
        self.grants = Paged("grants", context)
        self.datasets = Paged("datasets", context)
        self.masks = Paged("masks", context)

    def next(self) -> Optional[Page]:
        listed = self.roles.next()
        if listed:
            return _page([_role(given) for given in listed.items], [], listed.gaps)
        listed = self.grants.next()
        if listed:
            return _page([], _parts(listed.items), listed.gaps)
        listed = self.datasets.next()
        if listed:
            controls: List[AccessControl] = []
            for dataset in listed.items:
                answer = get("dataset-access", dataset=text(dataset.text("name")))
                controls.extend(_access_list(dataset, answer))
            return _page(controls, [], listed.gaps)
        listed = self.masks.next()
        return _page([_mask(given) for given in listed.items], [], listed.gaps) if listed else None


def _page(controls: List[AccessControl], parts: List[Part], gaps: List[Gap]) -> Page:
    return Page(access_controls=controls, parts=parts, gaps=gaps, resume=None)


def _control(
    external_id: str,
    name: str,
    kind: str,
    action: Action,
    who: List[Member],
    what: List[What],
    *,
    description: str = "",
    version: Optional[str] = None,
    policy: Optional[Policy] = None,
) -> AccessControl:
    return AccessControl(
        external_id=external_id,
        name=name,
        actual_name=name,
        kind=kind,
        description=description,
        action=action,
        version=version,
        who=who,
        what=what,
        standing=[],
        policy=policy,
        locks=[],
        internalizable=True,
        incomplete=False,
        tags=[],
    )


def _role(given: Fields) -> AccessControl:
    who = [member(id) for id in given.texts("members")]
    comment = given.text("comment")
    return _control(given.text("id"), given.text("name"), "role", Action.GRANT, who, [], description=comment)


def _used(name: str, may_pass_on: bool = False) -> PermissionUse:
    return PermissionUse(name=name, may_pass_on=may_pass_on, granted_by=None)


def _parts(grants: List[Fields]) -> List[Part]:
    """Grants, gathered by role and table."""
    roles: Dict[str, Dict[Tuple[str, ...], List[PermissionUse]]] = {}
    for grant in grants:
        held = roles.setdefault(grant.text("role"), {}).setdefault(tuple(grant.texts("path")), [])
        held.append(_used(grant.text("permission"), grant.flag("grantable")))
    return [
        Part(
            control=role,
            who=[],
            what=[
                What(object=object_ref("table", list(path)), permissions=permissions, condition=None)
                for path, permissions in sorted(held.items())
            ],
            standing=[],
        )
        for role, held in sorted(roles.items())
    ]


def _access_list(dataset: Fields, answer: Answer) -> List[AccessControl]:
    """The access list of a dataset: one control for each permission on it, all with the version of the list.

    An empty list is a control without members, because its version is needed to put the first line on it.
    """
    permissions: Dict[str, List[Member]] = {}
    for entry in answer.json().objects("entries"):
        permissions.setdefault(entry.text("permission"), []).append(member(entry.text("principal")))
    if not permissions:
        permissions[OF_EMPTY_LIST] = []
    name = dataset.text("name")
    controls = []
    for permission, who in sorted(permissions.items()):
        what = What(object=object_ref("dataset", [name]), permissions=[_used(permission)], condition=None)
        external_id, version = f"{dataset.text('id')}/{permission}", answer.header("etag")
        controls.append(
            _control(
                external_id, f"{name} {permission}", "dataset-access", Action.GRANT, who, [what], version=version
            )
        )
    return controls


def _mask(given: Fields) -> AccessControl:
    path = given.texts("path")
    what = What(object=object_ref("column", path), permissions=[_used("clear")], condition=None)
    policy = Policy(
        kind=given.text("kind"),
        text=None,
        check=None,
        commands=[],
        columns=path[-1:],
        arguments=[],
        restrictive=False,
        enabled=True,
        forced=False,
    )
    who = [member(id) for id in given.texts("clear_for")]
    return _control(f"mask:{given.text('column')}", ".".join(path), "mask", Action.MASK, who, [what], policy=policy)
