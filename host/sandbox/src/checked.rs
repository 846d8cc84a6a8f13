//! A guest whose answers are records: the check that everything passes, wherever the guest runs.
//!
//! Asks are made of records and answers into records here, once. Nothing of an answer is believed: not that it belongs to
//! the ask, not that it is of the right step, not that its values fit the contract.

use std::time::Duration;

use raito_core::fault::{BadRecord, LimitHit, StepFault};
use raito_core::limits;
use raito_core::ports::{AnyPage, BoxFuture, Context, Guest, GuestUse, Opening};
use raito_core::record::{Applied, ChangeSet, Coverage, Description};
use raito_core::step::Step;
use tokio::time::timeout;

use crate::raw::{Answer, Ask, Page, Raw, Reader};
use crate::{lift, lower};

/// A guest for one step.
pub struct Checked<R> {
    step: Step,
    raw: R,
    pages: u64,
    /// Wall time of one call that reads.
    call_wall: Duration,
    /// Wall time of the call that carries out all changes.
    apply_wall: Duration,
    /// After a fault, a trap or a limit the guest is never called again.
    broken: bool,
}

impl<R: Raw> Checked<R> {
    /// The guest that was started for this step.
    pub fn new(step: Step, raw: R) -> Self {
        Self { step, raw, pages: 0, call_wall: limits::CALL_WALL, apply_wall: limits::APPLY_WALL, broken: false }
    }

    /// The same with other wall time for each call.
    pub fn with_call_wall(self, call_wall: Duration) -> Self {
        Self { call_wall, ..self }
    }

    /// Asks under the bounds of one call. Until it is known to have succeeded, the guest counts as broken.
    async fn ask(&mut self, ask: Ask) -> Result<Answer, StepFault> {
        let wall = if matches!(ask, Ask::Apply(..)) { self.apply_wall } else { self.call_wall };
        if std::mem::replace(&mut self.broken, true) {
            return Err(StepFault::Trap { message: "it was called after it had failed".into() });
        }
        let answer = timeout(wall, self.raw.ask(ask)).await.map_err(|_| too_slow(wall))??;
        self.broken = false;
        Ok(answer)
    }

    /// A record that breaks the contract ends the guest.
    fn check<T>(&mut self, lifted: Result<T, BadRecord>) -> Result<T, StepFault> {
        lifted.map_err(|record| {
            self.broken = true;
            StepFault::BadRecord { page: self.pages, record }
        })
    }

    /// An answer that does not belong to what was asked.
    fn unfit<T>(&mut self) -> Result<T, StepFault> {
        self.broken = true;
        Err(StepFault::Trap { message: "its answer does not belong to what it was asked".into() })
    }

    async fn open_reader(&mut self, opening: Opening, context: Context) -> Result<(), StepFault> {
        self.expect(opening.step())?;
        let reader = match opening {
            Opening::IdentityStore => Reader::IdentityStore,
            Opening::DataSource(under) => Reader::DataSource(under.map(|id| id.into_string())),
            Opening::AccessFromTarget => Reader::AccessFromTarget,
            Opening::DataUsage(since) => Reader::DataUsage(since),
        };
        match self.ask(Ask::Open(reader, lower::context(context))).await? {
            Answer::Opened => Ok(()),
            _ => self.unfit(),
        }
    }

    async fn next_page(&mut self) -> Result<Option<AnyPage>, StepFault> {
        self.pages += 1;
        let Answer::Page(page) = self.ask(Ask::Next).await? else { return self.unfit() };
        let Some(page) = page else { return Ok(None) };
        let lifted = match (self.step, page) {
            (Step::IdentityStore, Page::Identities(page)) => lift::identity_page(page).map(AnyPage::Identities),
            (Step::DataSource, Page::Objects(page)) => lift::object_page(page).map(AnyPage::Objects),
            (Step::AccessFromTarget, Page::Access(page)) => lift::access_page(page).map(AnyPage::Access),
            (Step::DataUsage, Page::Usage(page)) => lift::usage_page(page).map(AnyPage::Usage),
            _ => return self.unfit(),
        };
        self.check(lifted).map(Some)
    }

    async fn read_coverage(&mut self) -> Result<Option<Coverage>, StepFault> {
        self.expect(Step::DataUsage)?;
        let Answer::Coverage(coverage) = self.ask(Ask::Coverage).await? else { return self.unfit() };
        self.check(coverage.map(lift::coverage).transpose())
    }

    async fn describe_target(&mut self, context: Context) -> Result<Description, StepFault> {
        self.expect(Step::DataSource)?;
        let answer = self.ask(Ask::Describe(lower::context(context))).await?;
        let Answer::Described(description) = answer else { return self.unfit() };
        self.check(lift::description(description).map_err(|bad| bad.within("description")))
    }

    async fn apply_changes(&mut self, context: Context, changes: Vec<ChangeSet>) -> Result<Vec<Applied>, StepFault> {
        self.expect(Step::AccessToTarget)?;
        let sets = changes.iter().map(lower::change_set).collect();
        let answer = self.ask(Ask::Apply(lower::context(context), sets)).await?;
        let Answer::Applied(answers) = answer else { return self.unfit() };
        if answers.len() != changes.len() {
            let reason = format!("{} answers to {} change-sets", answers.len(), changes.len());
            return self.check(Err(BadRecord::new("applied", reason)));
        }
        let lifted = answers.into_iter().zip(&changes).enumerate().map(|(index, (answer, set))| {
            lift::applied(answer, set.changes.len()).map_err(|bad| bad.within(format!("applied[{index}]")))
        });
        self.check(lifted.collect())
    }

    /// A function of another step is a defect of the host, which starts a guest for one step.
    fn expect(&self, step: Step) -> Result<(), StepFault> {
        if self.step == step {
            return Ok(());
        }
        Err(StepFault::Host("the instance was started for another step".into()))
    }
}

impl<R: Raw> Guest for Checked<R> {
    fn describe(&mut self, context: Context) -> BoxFuture<'_, Result<Description, StepFault>> {
        Box::pin(self.describe_target(context))
    }

    fn open(&mut self, opening: Opening, context: Context) -> BoxFuture<'_, Result<(), StepFault>> {
        Box::pin(self.open_reader(opening, context))
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<AnyPage>, StepFault>> {
        Box::pin(self.next_page())
    }

    fn coverage(&mut self) -> BoxFuture<'_, Result<Option<Coverage>, StepFault>> {
        Box::pin(self.read_coverage())
    }

    fn apply(&mut self, context: Context, changes: Vec<ChangeSet>) -> BoxFuture<'_, Result<Vec<Applied>, StepFault>> {
        Box::pin(self.apply_changes(context, changes))
    }

    fn used(&self) -> GuestUse {
        self.raw.used()
    }
}

/// What a call that took too long ends with.
pub(crate) fn too_slow(wall: Duration) -> StepFault {
    StepFault::Limit(LimitHit { what: "time in one call", allowed: format!("{} s", wall.as_secs_f64()) })
}

#[cfg(test)]
mod tests {
    use raito_core::ports::GuestUse;

    use super::*;

    /// A guest that takes its time over everything.
    struct Slow(Duration);

    impl Raw for Slow {
        fn ask(&mut self, ask: Ask) -> BoxFuture<'_, Result<Answer, StepFault>> {
            Box::pin(async move {
                tokio::time::sleep(self.0).await;
                Ok(if matches!(ask, Ask::Apply(..)) { Answer::Applied(vec![]) } else { Answer::Opened })
            })
        }

        fn used(&self) -> GuestUse {
            GuestUse::default()
        }
    }

    #[tokio::test]
    async fn carrying_out_all_changes_has_the_time_of_a_step_and_not_that_of_a_page() {
        let (short, long) = (Duration::from_millis(20), Duration::from_secs(60));
        let guest = |apply_wall| {
            let step = Step::AccessToTarget;
            Checked { call_wall: short, apply_wall, ..Checked::new(step, Slow(Duration::from_millis(200))) }
        };
        assert_eq!(guest(long).apply(Context::default(), vec![]).await, Ok(vec![]));
        let late = guest(short).apply(Context::default(), vec![]).await.expect_err("it takes too long");
        assert!(late.to_string().contains("time in one call"), "{late}");
        let mut reader = Checked { step: Step::IdentityStore, ..guest(long) };
        let late = reader.open(Opening::IdentityStore, Context::default()).await.expect_err("it takes too long");
        assert!(late.to_string().contains("time in one call"), "{late}");
    }
}
