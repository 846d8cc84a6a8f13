"""Step 2: datasets, tables and columns."""

from typing import List, Optional

from api import Fields
from lists import Paged, setting
from wit_world.exports import data_source
from wit_world.exports.data_source import DataObject, Page, Rights
from wit_world.imports.types import Context, ObjectRef, Tag


class Reader(data_source.Reader):
    """Reads datasets first, then their tables."""

    def __init__(self, context: Context, under: Optional[str]):
        self.datasets = Paged("datasets", context)
        self.tables = Paged("tables", context)
        self.excluded = setting(context, "exclude-datasets").splitlines()
        self.under = under

    def next(self) -> Optional[Page]:
        listed = self.datasets.next()
        if listed:
            wanted = [given for given in listed.items if self._is_wanted(given)]
            return Page(objects=[_dataset(given) for given in wanted], gaps=listed.gaps, resume=None)
        listed = self.tables.next()
        if not listed:
            return None
        objects = [object for given in listed.items if self._has(given) for object in _with_columns(given)]
        return Page(objects=objects, gaps=listed.gaps, resume=None)

    def _is_wanted(self, dataset: Fields) -> bool:
        return self.under is None and dataset.text("name") not in self.excluded

    def _has(self, table: Fields) -> bool:
        here = self.under is None or self.under in (table.text("dataset"), table.text("id"))
        return here and table.text("dataset_name") not in self.excluded


def object_ref(kind: str, path: List[str]) -> ObjectRef:
    """Names an object by its path."""
    return ObjectRef(path=path, signature=None, kind=kind)


def _object(given: Fields, kind: str, path: List[str], comment: str, parent: Optional[str]) -> DataObject:
    return DataObject(
        external_id=given.text("id"),
        name=path[-1],
        ref=object_ref(kind, path),
        description=comment,
        parent_external_id=parent,
        data_type=given.text("kind") if kind == "column" else None,
        reads=[],
        rights=Rights.CALLER,
        tags=[],
    )


def _dataset(given: Fields) -> DataObject:
    return _object(given, "dataset", [given.text("name")], given.text("comment"), None)


def _with_columns(given: Fields) -> List[DataObject]:
    """A table and its columns."""
    path = [given.text("dataset_name"), given.text("name")]
    objects = [_object(given, "table", path, given.text("comment"), given.text("dataset"))]
    for column in given.objects("columns"):
        object = _object(column, "column", [*path, column.text("name")], "", given.text("id"))
        personal = column.optional_text("pii")
        if personal is not None:
            object.tags.append(Tag(key="pii", value=personal, source="demo"))
        objects.append(object)
    return objects
