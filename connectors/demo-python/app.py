"""The connector of the demo warehouse in Python: the exports, which are thin.

The steps stand in the modules beside this one. Those that read are named as their interfaces are, because the bindings look
for a reader there: a class `Reader` in a module of the interface's name.
"""

from typing import List, Optional

import access_from_target
import changes
import data_source
import data_usage
import description
import identity_store
from wit_world import exports
from wit_world.exports.access_to_target import Applied, ChangeSet
from wit_world.exports.data_source import Description
from wit_world.imports.types import Context


class IdentityStore(exports.IdentityStore):
    """Step 1."""

    def open(self, context: Context) -> identity_store.Reader:
        return identity_store.Reader(context)


class DataSource(exports.DataSource):
    """Step 2."""

    def describe(self, context: Context) -> Description:
        return description.describe()

    def open(self, context: Context, under: Optional[str]) -> data_source.Reader:
        return data_source.Reader(context, under)


class AccessFromTarget(exports.AccessFromTarget):
    """Step 3."""

    def open(self, context: Context) -> access_from_target.Reader:
        return access_from_target.Reader(context)


class AccessToTarget(exports.AccessToTarget):
    """Step 4."""

    def apply(self, context: Context, changes_: List[ChangeSet]) -> List[Applied]:
        return [changes.apply(change_set) for change_set in changes_]


class DataUsage(exports.DataUsage):
    """Step 5."""

    def open(self, context: Context, since_ms: Optional[int]) -> data_usage.Reader:
        return data_usage.Reader(context, since_ms)
