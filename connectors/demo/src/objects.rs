//! Step 2: datasets, tables and columns.

use raito_sdk::data_source::{DataObject, Page, Rights};
use raito_sdk::{Context, Fault, ObjectRef, Pages, Settings, Tag};
use serde::Deserialize;

use crate::lists::List;

#[derive(Deserialize)]
pub(crate) struct Dataset {
    pub(crate) id: String,
    pub(crate) name: String,
    comment: String,
}

#[derive(Deserialize)]
struct Table {
    id: String,
    dataset: String,
    dataset_name: String,
    name: String,
    comment: String,
    columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Column {
    id: String,
    name: String,
    kind: String,
    pii: Option<String>,
}

/// Reads datasets first, then their tables.
pub(crate) struct Objects {
    datasets: List,
    tables: List,
    excluded: Vec<String>,
    under: Option<String>,
}

impl Objects {
    pub(crate) fn new(context: &Context, under: Option<String>) -> Self {
        Self {
            datasets: List::new("datasets", context),
            tables: List::new("tables", context),
            excluded: Settings::new(context).list("exclude-datasets"),
            under,
        }
    }
}

impl Pages for Objects {
    type Page = Page;

    fn next(&mut self) -> Result<Option<Page>, Fault> {
        if let Some(listed) = self.datasets.next::<Dataset>()? {
            let wanted = |dataset: &Dataset| self.under.is_none() && !self.excluded.contains(&dataset.name);
            let objects = listed.items.into_iter().filter(wanted).map(dataset).collect();
            return Ok(Some(Page { objects, gaps: listed.gap.into_iter().collect(), resume: None }));
        }
        let Some(listed) = self.tables.next::<Table>()? else { return Ok(None) };
        let wanted = |table: &Table| {
            let here = self.under.as_ref().is_none_or(|under| *under == table.dataset || *under == table.id);
            here && !self.excluded.contains(&table.dataset_name)
        };
        let objects = listed.items.into_iter().filter(wanted).flat_map(with_columns).collect();
        Ok(Some(Page { objects, gaps: listed.gap.into_iter().collect(), resume: None }))
    }
}

/// Names an object by its path.
pub(crate) fn object_ref(kind: &str, path: &[String]) -> ObjectRef {
    ObjectRef { path: path.to_vec(), signature: None, kind: kind.to_owned() }
}

fn object(id: String, kind: &str, path: &[String], description: String, parent: Option<String>) -> DataObject {
    DataObject {
        external_id: id,
        name: path.last().cloned().unwrap_or_default(),
        ref_: object_ref(kind, path),
        description,
        parent_external_id: parent,
        data_type: None,
        reads: vec![],
        rights: Rights::Caller,
        tags: vec![],
    }
}

fn dataset(given: Dataset) -> DataObject {
    object(given.id, "dataset", &[given.name], given.comment, None)
}

/// A table and its columns.
fn with_columns(given: Table) -> Vec<DataObject> {
    let mut path = vec![given.dataset_name, given.name];
    let mut objects = vec![object(given.id.clone(), "table", &path, given.comment, Some(given.dataset))];
    for column in given.columns {
        path.push(column.name);
        let object = object(column.id, "column", &path, String::new(), Some(given.id.clone()));
        let tag = |value| Tag { key: "pii".to_owned(), value, source: "demo".to_owned() };
        let tags = column.pii.map(tag).into_iter().collect();
        objects.push(DataObject { data_type: Some(column.kind), tags, ..object });
        path.pop();
    }
    objects
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_with_its_columns_below_it() {
        let json = r#"{"id":"t1","dataset":"d1","dataset_name":"sales","name":"orders","comment":"",
                       "columns":[{"id":"t1.c0","name":"id","kind":"bigint","pii":null},
                                  {"id":"t1.c1","name":"email","kind":"text","pii":"email"}]}"#;
        let objects = with_columns(serde_json::from_str(json).expect("a table"));
        assert_eq!(objects.len(), 3);
        assert_eq!(objects[1].ref_.path, ["sales", "orders", "id"]);
        assert_eq!(objects[1].parent_external_id.as_deref(), Some("t1"));
        assert_eq!(objects[1].data_type.as_deref(), Some("bigint"));
        assert_eq!(objects[0].parent_external_id.as_deref(), Some("d1"));
        let tags = |at: usize| objects[at].tags.iter().map(|tag| (&*tag.key, &*tag.value)).collect::<Vec<_>>();
        assert_eq!((tags(1), tags(2)), (vec![], vec![("pii", "email")]));
    }
}
