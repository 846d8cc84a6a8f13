//! A walk over lists: first those of the cluster, then those of each database, in batches of rows of one list. A database
//! that stops answering becomes a gap, and the walk goes on with the next one.

use std::collections::VecDeque;
use std::rc::Rc;

use raito_sdk::{Fault, Gap, SqlRow};

use crate::cluster::{Cluster, Database, gap, passes};
use crate::keyset::{Keyset, Listing};

/// Rows in one batch, and so about the records of one page.
const BATCH: usize = 1024;
/// Bytes of the rows of one batch: access lists come as one row, and this is a few thousand entries.
const BATCH_BYTES: usize = 64 * 1024;

/// One list of a walk, with what its rows are.
pub(crate) type Step<P> = (P, Listing);

struct Task<P> {
    part: P,
    /// The database that the list is about; none where it is about the cluster.
    of: Option<Rc<Database>>,
    list: Keyset,
}

/// Rows of one list.
pub(crate) struct Batch<P> {
    pub(crate) part: P,
    /// The database that the rows are about; where they are about the cluster, the one that told them.
    pub(crate) database: Rc<Database>,
    pub(crate) rows: Vec<SqlRow>,
}

/// The walk.
pub(crate) struct Walk<P> {
    tasks: VecDeque<Task<P>>,
    teller: Rc<Database>,
    gaps: Vec<Gap>,
}

impl<P: Copy> Walk<P> {
    /// A walk over these lists of the cluster, and these of each of its databases.
    pub(crate) fn new(cluster: Cluster, of_cluster: &[Step<P>], of_database: &[Step<P>]) -> Self {
        let databases: Vec<Rc<Database>> = cluster.databases.into_iter().map(Rc::new).collect();
        let teller = Rc::clone(&databases[0]);
        let task = |of: Option<&Rc<Database>>, (part, listing): &Step<P>| Task {
            part: *part,
            of: of.cloned(),
            list: Keyset::new(*listing, of.unwrap_or(&teller).at.clone(), &cluster.scope),
        };
        let mut tasks: VecDeque<_> = of_cluster.iter().map(|step| task(None, step)).collect();
        for database in &databases {
            tasks.extend(of_database.iter().map(|step| task(Some(database), step)));
        }
        Self { tasks, teller, gaps: cluster.gaps }
    }

    /// What could not be read since this was last asked.
    pub(crate) fn take_gaps(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.gaps)
    }

    /// The next rows; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Batch<P>>, Fault> {
        while let Some(task) = self.tasks.front_mut() {
            let (part, of) = (task.part, task.of.clone());
            match rows(&mut task.list) {
                Ok(rows) => {
                    if task.list.has_ended() {
                        self.tasks.pop_front();
                    }
                    if !rows.is_empty() {
                        // What comes next is asked for before these rows are told.
                        self.tasks.front_mut().into_iter().for_each(|next| next.list.ask());
                        let database = of.unwrap_or_else(|| Rc::clone(&self.teller));
                        return Ok(Some(Batch { part, database, rows }));
                    }
                }
                Err(fault) => match of {
                    Some(database) if passes(&fault) => {
                        self.gaps.push(gap(Some(database.oid), &database.name, &fault));
                        self.tasks.retain(|task| task.of.as_ref() != Some(&database));
                    }
                    _ => return Err(fault),
                },
            }
        }
        Ok(None)
    }
}

fn rows(list: &mut Keyset) -> Result<Vec<SqlRow>, Fault> {
    let mut rows = Vec::new();
    let mut bytes = 0;
    while rows.len() < BATCH && bytes < BATCH_BYTES {
        let Some(row) = list.next_of_page()? else { break };
        bytes += row.bytes();
        rows.push(row);
    }
    Ok(rows)
}
