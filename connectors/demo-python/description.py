"""How the warehouse behaves."""

from typing import List, Optional

from api import get
from wit_world.exports.data_source import (
    ControlKind,
    Description,
    Identity,
    KindPermission,
    MaskKind,
    ObjectKind,
    Permission,
    Reach,
    Shorthand,
    Special,
)


def describe() -> Description:
    """The description, with the name and the id that the warehouse gives itself."""
    about = get("about").json()
    return Description(
        name=about.text("name"),
        instance_id=about.text("instance"),
        kinds=[_dataset(), _table(), _column()],
        controls=_controls(),
        specials=[Special(name="everyone", covers="everybody who can log in")],
        inheritance=True,
        masks=[_mask("hide", "Hidden"), _mask("sha256", "SHA-256 digest")],
        filters_apply_to=[],
        mask_overrides=[],
        filter_overrides=[],
        name_pattern="[a-z0-9_.-]+",
        name_bytes_max=63,
        reserved_prefixes=[],
        sql_dialect="ansi",
        left_out=[],
    )


def _permission(
    name: str,
    description: str,
    counts_as: str,
    *,
    implies: List[str] = [],
    on_tables: List[str] = [],
    can_be_passed_on: bool = False,
) -> Permission:
    """A permission. `on_tables`: what is held on every table of a dataset with it, also on those that come later."""
    reaches = [Reach(to=KindPermission(kind="table", permission=held), later_too=True) for held in on_tables]
    return Permission(
        name=name,
        description=description,
        counts_as=[counts_as],
        implies=implies,
        reaches=reaches,
        needs=[],
        shorthand=Shorthand.NONE,
        can_be_granted=True,
        can_be_passed_on=can_be_passed_on,
        asked_at_login=False,
    )


def _kind(name: str, label: str, permissions: List[Permission], children: List[str]) -> ObjectKind:
    return ObjectKind(
        name=name, label=label, permissions=permissions, children=children, revoke_clears_parts=False
    )


def _dataset() -> ObjectKind:
    all_of_it = ["select", "insert", "update", "delete"]
    permissions = [
        _permission("read", "Read all tables", "read", on_tables=["select"]),
        _permission("write", "Read and change all tables", "write", implies=["read"], on_tables=all_of_it),
        _permission("manage", "Change the access list", "admin", implies=["write"]),
    ]
    return _kind("dataset", "Dataset", permissions, ["table"])


def _table() -> ObjectKind:
    permissions = [
        _permission(name, description, counts_as, can_be_passed_on=True)
        for name, description, counts_as in [
            ("select", "Read rows", "read"),
            ("insert", "Add rows", "write"),
            ("update", "Change rows", "write"),
            ("delete", "Delete rows", "write"),
        ]
    ]
    return _kind("table", "Table", permissions, ["column"])


def _column() -> ObjectKind:
    return _kind("column", "Column", [_permission("clear", "See clear data where the column is masked", "read")], [])


def _control(
    name: str,
    label: str,
    identity: Identity,
    members: List[str],
    *,
    can_rename: bool = False,
    replaced_whole: bool = False,
    admits: Optional[List[str]] = None,
) -> ControlKind:
    return ControlKind(
        name=name,
        label=label,
        identity=identity,
        can_create=True,
        can_rename=can_rename,
        assumable=False,
        members=members,
        admits=members if admits is None else admits,
        common_parent=None,
        replaced_whole=replaced_whole,
    )


def _controls() -> List[ControlKind]:
    members = ["user", "group", "access-control"]
    anybody = [*members, "special"]
    per_permission = Identity.PER_OBJECT_PERMISSION
    return [
        _control("role", "Role", Identity.NAMED, members, can_rename=True),
        _control("dataset-access", "Dataset access", per_permission, anybody, replaced_whole=True),
        # Masks that are lifted for a group come from the warehouse's own console; its API takes none.
        _control("mask", "Mask", Identity.PER_OBJECT, members, admits=["user", "access-control"]),
    ]


def _mask(name: str, label: str) -> MaskKind:
    return MaskKind(name=name, label=label, data_kinds=[], applies_to=["column"])
