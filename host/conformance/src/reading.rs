//! Reading one step, as a run reads it: page by page, each checked against everything that came before.

use std::sync::Arc;

use raito_core::fault::{BadRecord, LimitHit, StepFault};
use raito_core::limits;
use raito_core::ports::{AnyPage, Broker, Connector, Context, Guest, GuestUse, Opening};
use raito_core::record::Description;
use raito_core::step::Step;
use raito_core::text::Resume;
use raito_core::unite::{AccessReading, Reading};
use raito_core::upload::Line;

use crate::replay::Replay;

/// What a step read until it ended, however it ended.
#[derive(Default)]
pub(crate) struct Read {
    /// The records, as the lines that a run would send.
    pub(crate) lines: Vec<String>,
    /// Records, pages and gaps.
    pub(crate) reading: Reading,
    pub(crate) pages: Vec<Mark>,
    pub(crate) description: Option<Description>,
    pub(crate) used: GuestUse,
    /// Whether it came to its end.
    pub(crate) is_whole: bool,
}

/// Where a page ended.
pub(crate) struct Mark {
    /// Lines up to here.
    pub(crate) lines: usize,
    /// Records of the page.
    pub(crate) records: u64,
    /// Where to go on behind it.
    pub(crate) resume: Option<Resume>,
}

/// What is read, and how.
pub(crate) struct Plan<'p> {
    pub(crate) connector: &'p dyn Connector,
    pub(crate) step: Step,
    pub(crate) context: Context,
    pub(crate) usage_since_ms: Option<u64>,
    /// What step 2 said, for step 3.
    pub(crate) description: Option<&'p Description>,
}

/// A point to go on from, and one at which the target goes away.
#[derive(Default)]
pub(crate) struct Breaks {
    pub(crate) resume: Option<Resume>,
    /// Behind this many pages.
    pub(crate) outage: Option<usize>,
}

impl Read {
    /// The lines in an order of their own: what was read, whatever way it came.
    pub(crate) fn sorted(&self) -> Vec<&str> {
        let mut lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        lines.sort_unstable();
        lines
    }

    fn push(&mut self, line: &Line) {
        let mut bytes = Vec::new();
        line.write(&mut bytes);
        self.lines.push(String::from_utf8_lossy(&bytes).trim_end().to_owned());
    }
}

/// Reads a step with a broker. Gives what was read also where it did not end well.
pub(crate) async fn read(plan: &Plan<'_>, replay: &Arc<Replay>, breaks: Breaks) -> (Read, Result<(), StepFault>) {
    let mut read = Read::default();
    let result = match plan.connector.start(plan.step, Arc::clone(replay) as Arc<dyn Broker>).await {
        Ok(mut guest) => {
            let result = pull(plan, guest.as_mut(), replay, breaks, &mut read).await;
            read.used = guest.used();
            read.is_whole = result.is_ok();
            result
        }
        Err(fault) => Err(fault),
    };
    (read, result)
}

async fn pull(
    plan: &Plan<'_>,
    guest: &mut dyn Guest,
    replay: &Replay,
    breaks: Breaks,
    read: &mut Read,
) -> Result<(), StepFault> {
    let Breaks { resume, outage } = breaks;
    let opening = match plan.step {
        Step::IdentityStore => Opening::IdentityStore,
        Step::DataSource => Opening::DataSource(None),
        Step::AccessFromTarget => Opening::AccessFromTarget,
        Step::DataUsage => Opening::DataUsage(plan.usage_since_ms),
        Step::AccessToTarget => return Err(StepFault::Host("this step changes, and is not read".into())),
    };
    let mut access = AccessReading::default();
    if plan.step == Step::DataSource && resume.is_none() {
        let description = guest.describe(plan.context.clone()).await?;
        read.push(&Line::Description(Box::new(description.clone())));
        read.description = Some(description);
    }
    let description = read.description.clone().or_else(|| plan.description.cloned());
    guest.open(opening, Context { resume, ..plan.context.clone() }).await?;
    while let Some(page) = guest.next().await? {
        let before = read.reading.records();
        let resume = take(page, description.as_ref(), &mut access, read)
            .map_err(|record| StepFault::BadRecord { page: read.pages.len() as u64 + 1, record })?;
        if read.reading.records() > limits::SCENARIO_RECORDS {
            let allowed = format!("{} in one step of a scenario", limits::SCENARIO_RECORDS);
            return Err(StepFault::Limit(LimitHit { what: "records", allowed }));
        }
        let mark = Mark { lines: read.lines.len(), records: read.reading.records() - before, resume };
        read.pages.push(mark);
        if outage == Some(read.pages.len()) {
            replay.go_away();
        }
    }
    if plan.step == Step::DataUsage
        && let Some(coverage) = guest.coverage().await?
    {
        read.push(&Line::Coverage(coverage));
    }
    Ok(())
}

/// Takes a page in, with the checks that a run makes. Gives where to go on behind it.
fn take(
    page: AnyPage,
    description: Option<&Description>,
    access: &mut AccessReading,
    read: &mut Read,
) -> Result<Option<Resume>, BadRecord> {
    let missing = || BadRecord::new("description", "the connector has not described the target");
    let (resume, lines): (_, Vec<Line>) = match page {
        AnyPage::Identities(page) => {
            let records = page.records;
            let count = records.users.len() + records.groups.len() + records.memberships.len();
            read.reading.page(count, page.gaps)?;
            read.reading.identities(&records)?;
            let users = records.users.into_iter().map(Line::User);
            let groups = records.groups.into_iter().map(Line::Group);
            (page.resume, users.chain(groups).chain(records.memberships.into_iter().map(Line::Membership)).collect())
        }
        AnyPage::Objects(page) => {
            read.reading.page(page.records.objects.len(), page.gaps)?;
            read.reading.objects(&page.records, description.ok_or_else(missing)?)?;
            (page.resume, page.records.objects.into_iter().map(Line::Object).collect())
        }
        AnyPage::Access(page) => {
            let records = page.records;
            read.reading.page(records.count(), page.gaps)?;
            access.take(&mut read.reading, &records, description.ok_or_else(missing)?, |_| false)?;
            let controls = records.access_controls.into_iter().map(|control| Line::AccessControl(Box::new(control)));
            (page.resume, controls.chain(records.parts.into_iter().map(Line::Part)).collect())
        }
        AnyPage::Usage(page) => {
            read.reading.page(page.records.statements.len(), page.gaps)?;
            (page.resume, page.records.statements.into_iter().map(Line::Statement).collect())
        }
    };
    lines.iter().for_each(|line| read.push(line));
    Ok(resume)
}
