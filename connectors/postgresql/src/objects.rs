//! Step 2: databases, schemas, relations, columns and routines.

use std::collections::HashSet;

use raito_sdk::data_source::{DataObject, Page, Rights};
use raito_sdk::{Context, Fault, ObjectRef, Pages, SqlRow, Tag};

use crate::cluster::{Cluster, Database};
use crate::keyset::Listing;
use crate::names::{
    CLUSTER, cluster_ref, column_id, database_id, object_ref, relation_id, relation_kind, routine_id, routine_kind,
    schema_id,
};
use crate::references::references;
use crate::walk::{Batch, Step, Walk};

/// What the rows of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Databases,
    Schemas,
    Relations,
    Columns,
    Routines,
}

const OF_CLUSTER: [Step<Part>; 1] = [(Part::Databases, Listing::of_cluster("databases"))];

const OF_DATABASE: [Step<Part>; 4] = [
    (Part::Schemas, Listing::of_database("schemas")),
    (Part::Relations, Listing::of_database("relations")),
    (Part::Columns, Listing { statement: "columns", keys: &["after", "after_column"], excludes: true }),
    (Part::Routines, Listing::of_database("routines")),
];

pub(crate) struct Objects {
    walk: Walk<Part>,
    /// Whether the object above all others has been told.
    begun: bool,
    below: Option<Below>,
}

/// Only what stands below one object: parents come before their children, so their ids are gathered on the way.
struct Below {
    ids: HashSet<String>,
}

impl Below {
    fn takes(&mut self, object: &DataObject) -> bool {
        let below = object.parent_external_id.as_ref().is_some_and(|parent| self.ids.contains(parent));
        if below {
            self.ids.insert(object.external_id.clone());
        }
        below
    }
}

impl Objects {
    pub(crate) fn open(context: &Context, under: Option<String>) -> Result<Self, Fault> {
        let mut cluster = Cluster::open(context)?;
        if let Some(under) = &under {
            let database = under.split('/').next().unwrap_or_default();
            let wanted = |candidate: &Database| database_id(candidate.oid) == database;
            if cluster.databases.iter().any(wanted) {
                cluster.databases.retain(wanted);
            }
        }
        let below = under.map(|id| Below { ids: HashSet::from([id]) });
        Ok(Self { walk: Walk::new(cluster, &OF_CLUSTER, &OF_DATABASE), begun: false, below })
    }
}

impl Pages for Objects {
    type Page = Page;

    fn next(&mut self) -> Result<Option<Page>, Fault> {
        let batch = self.walk.next()?;
        let gaps = self.walk.take_gaps();
        let Some(Batch { part, database, rows }) = batch else {
            return Ok((!gaps.is_empty()).then_some(Page { objects: vec![], gaps, resume: None }));
        };
        let mut objects: Vec<DataObject> = rows.into_iter().map(|row| object(part, &database, row)).collect();
        if !std::mem::replace(&mut self.begun, true) {
            objects.insert(0, plain(CLUSTER.to_owned(), cluster_ref(), String::new(), None));
        }
        if let Some(below) = &mut self.below {
            objects.retain(|object| below.takes(object));
        }
        Ok(Some(Page { objects, gaps, resume: None }))
    }
}

fn object(part: Part, database: &Database, row: SqlRow) -> DataObject {
    match part {
        Part::Databases => of_cluster(row),
        Part::Schemas => schema(database, row),
        Part::Relations => relation(database, row),
        Part::Columns => column(database, row),
        Part::Routines => routine(database, row),
    }
}

fn plain(external_id: String, ref_: ObjectRef, description: String, parent: Option<String>) -> DataObject {
    DataObject {
        external_id,
        name: ref_.path.last().cloned().unwrap_or_default(),
        ref_,
        description,
        parent_external_id: parent,
        data_type: None,
        reads: vec![],
        rights: Rights::Caller,
        tags: vec![],
    }
}

fn number(row: &SqlRow, column: usize) -> i64 {
    row.integer(column).unwrap_or_default()
}

fn of_cluster(mut row: SqlRow) -> DataObject {
    let oid = number(&row, 0);
    let (name, comment) = (row.text(1), row.text(2));
    plain(database_id(oid), object_ref("database", &[&name]), comment, Some(CLUSTER.to_owned()))
}

fn schema(database: &Database, mut row: SqlRow) -> DataObject {
    let oid = number(&row, 0);
    let (name, comment) = (row.text(1), row.text(2));
    let reference = object_ref("schema", &[&database.name, &name]);
    plain(schema_id(database.oid, oid), reference, comment, Some(database_id(database.oid)))
}

fn relation(database: &Database, mut row: SqlRow) -> DataObject {
    let (oid, schema, invoker) = (number(&row, 0), number(&row, 2), row.boolean(6));
    let (relkind, schema_name, name, comment) = (row.text(1), row.text(3), row.text(4), row.text(5));
    let reference = object_ref(relation_kind(&relkind), &[&database.name, &schema_name, &name]);
    let object = plain(relation_id(database.oid, oid), reference, comment, Some(schema_id(database.oid, schema)));
    let partitioned = (relkind == "p").then(|| tag("partitioned"));
    let rights = match relkind.as_str() {
        "v" if invoker => Rights::Caller,
        "v" => Rights::Owner,
        // A materialised view holds its data, and a partitioned table hands out what its partitions hold.
        _ => Rights::Nobody,
    };
    let reads = references(&database.name, &row.text(7));
    let rights = if reads.is_empty() { Rights::Caller } else { rights };
    DataObject { tags: partitioned.into_iter().collect(), reads, rights, ..object }
}

fn column(database: &Database, mut row: SqlRow) -> DataObject {
    let (relation, number) = (number(&row, 0), number(&row, 1));
    let (schema, table, name) = (row.text(3), row.text(4), row.text(5));
    let (data_type, comment) = (row.text(6), row.text(7));
    let reference = object_ref("column", &[&database.name, &schema, &table, &name]);
    let id = column_id(database.oid, relation, number);
    let object = plain(id, reference, comment, Some(relation_id(database.oid, relation)));
    DataObject { data_type: Some(data_type), ..object }
}

fn routine(database: &Database, mut row: SqlRow) -> DataObject {
    let (oid, schema, definer) = (number(&row, 0), number(&row, 2), row.boolean(7));
    let (prokind, schema_name, name) = (row.text(1), row.text(3), row.text(4));
    let (arguments, comment) = (row.text(5), row.text(6));
    let mut reference = object_ref(routine_kind(&prokind), &[&database.name, &schema_name, &name]);
    reference.signature = Some(arguments);
    let object = plain(routine_id(database.oid, oid), reference, comment, Some(schema_id(database.oid, schema)));
    let rights = if definer { Rights::Owner } else { Rights::Caller };
    let definer = definer.then(|| tag("security-definer"));
    DataObject { tags: definer.into_iter().collect(), rights, ..object }
}

/// A property that an object has.
pub(crate) fn tag(key: &str) -> Tag {
    Tag { key: key.into(), value: "true".into(), source: "postgresql".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Database {
        Database { at: None, oid: 5, name: "shop".into() }
    }

    fn row(cells: &[&str]) -> SqlRow {
        SqlRow::new(cells.iter().map(|cell| Some((*cell).to_owned())).collect())
    }

    #[test]
    fn a_column_stands_below_its_table_and_a_table_below_its_schema() {
        let table =
            relation(&shop(), row(&["20", "p", "10", "sales", "orders", "All orders", "false", "r:sales.orders_2025"]));
        assert_eq!((table.external_id.as_str(), table.parent_external_id.as_deref()), ("d5/r20", Some("d5/n10")));
        assert_eq!((table.ref_.kind.as_str(), table.tags[0].key.as_str()), ("table", "partitioned"));
        assert_eq!((table.reads[0].path.len(), table.rights), (3, Rights::Nobody));
        let id = column(&shop(), row(&["20", "3", "p", "sales", "orders", "id", "bigint", ""]));
        assert_eq!((id.external_id.as_str(), id.parent_external_id.as_deref()), ("d5/r20/c3", Some("d5/r20")));
        assert_eq!(id.ref_.path, ["shop", "sales", "orders", "id"]);
        assert_eq!(id.data_type.as_deref(), Some("bigint"));
    }

    #[test]
    fn a_view_shows_what_its_owner_may_read_unless_it_says_otherwise() {
        let view = |invoker| relation(&shop(), row(&["20", "v", "10", "sales", "eu", "", invoker, "r:sales.orders"]));
        assert_eq!([view("false").rights, view("true").rights], [Rights::Owner, Rights::Caller]);
    }

    #[test]
    fn overloads_differ_in_their_signature() {
        let one = routine(&shop(), row(&["30", "f", "10", "sales", "total", "integer", "", "false"]));
        let two = routine(&shop(), row(&["31", "p", "10", "sales", "total", "text", "", "true"]));
        assert_eq!((one.ref_.signature.as_deref(), one.ref_.kind.as_str()), (Some("integer"), "function"));
        assert_eq!((two.ref_.kind.as_str(), two.tags[0].key.as_str()), ("procedure", "security-definer"));
    }

    #[test]
    fn only_what_stands_below_is_taken() {
        let mut below = Below { ids: HashSet::from(["d5/n10".to_owned()]) };
        let inside = relation(&shop(), row(&["20", "r", "10", "sales", "orders", "", "", ""]));
        let outside = relation(&shop(), row(&["21", "r", "11", "hr", "people", "", "", ""]));
        let column = column(&shop(), row(&["20", "1", "r", "sales", "orders", "id", "bigint", ""]));
        assert!(below.takes(&inside) && !below.takes(&outside) && below.takes(&column));
    }
}
