//! The pump: pulls pages out of a guest while the ones before are being sent.

use std::sync::Arc;

use raito_core::fault::{FaultKind, StepFault};
use raito_core::limits;
use raito_core::ports::{AnyPage, Connector, Context, Guest, GuestUse, Opening, StepBroker};
use raito_core::record::Coverage;
use raito_core::step::Step;
use raito_core::text::Resume;
use tokio::sync::mpsc;

/// Pages that wait for the sender, or are being made: one is sent meanwhile. A page may have 32 MiB, so there is no third.
const WAITING: usize = 1;

/// What came of pumping.
#[derive(Debug, Default)]
pub(crate) struct Pumped {
    pub(crate) used: GuestUse,
    pub(crate) coverage: Option<Coverage>,
}

/// A pump that is running: its pages, and what came of it.
pub(crate) struct Pump {
    pub(crate) pages: mpsc::Receiver<AnyPage>,
    ended: tokio::task::JoinHandle<(Pumped, Result<(), StepFault>)>,
}

/// What a pump needs to open a reader, and to open it again.
pub(crate) struct Source {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) broker: Arc<dyn StepBroker>,
    pub(crate) step: Step,
    pub(crate) opening: Opening,
    pub(crate) context: Context,
}

impl Pump {
    /// Starts to pull pages, with a guest that may have been started already.
    pub(crate) fn start(source: Source, guest: Option<Box<dyn Guest>>) -> Self {
        let (sender, pages) = mpsc::channel(WAITING);
        let ended = tokio::spawn(async move {
            let mut pumped = Pumped::default();
            let result = pump(&source, guest, &sender, &mut pumped).await;
            (pumped, result)
        });
        Self { pages, ended }
    }

    /// What came of it, once there are no more pages.
    pub(crate) async fn end(mut self) -> (Pumped, Result<(), StepFault>) {
        let failed = |error| (Pumped::default(), Err(StepFault::Host(format!("the step's task ended: {error}"))));
        (&mut self.ended).await.unwrap_or_else(failed)
    }

    /// Ends it now, whatever the guest is about: after this it asks for nothing more.
    pub(crate) async fn stop(mut self) {
        self.ended.abort();
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Pump {
    /// Whoever takes the pages is gone, so nobody waits for the guest any more.
    fn drop(&mut self) {
        self.ended.abort();
    }
}

/// Pulls pages until there are no more. A reader that says that the target is unavailable is opened again behind the last
/// page that said where to go on.
async fn pump(
    source: &Source,
    mut ready: Option<Box<dyn Guest>>,
    sender: &mpsc::Sender<AnyPage>,
    pumped: &mut Pumped,
) -> Result<(), StepFault> {
    let mut resume: Option<Resume> = None;
    for attempt in 0.. {
        let mut guest = match ready.take() {
            Some(guest) => guest,
            None => source.connector.start(source.step, Arc::clone(&source.broker) as _).await?,
        };
        let result = read(source, guest.as_mut(), &mut resume, sender, pumped).await;
        let used = guest.used();
        pumped.used = GuestUse {
            memory_bytes: pumped.used.memory_bytes.max(used.memory_bytes),
            ticks: pumped.used.ticks + used.ticks,
            calls: pumped.used.calls + used.calls,
        };
        match result {
            Err(StepFault::Fault(fault))
                if fault.kind == FaultKind::Unavailable && resume.is_some() && attempt < limits::RESUMES =>
            {
                tracing::warn!(step = %source.step, "{}; going on behind the last page", fault.message);
            }
            result => return result,
        }
    }
    Ok(())
}

async fn read(
    source: &Source,
    guest: &mut dyn Guest,
    resume: &mut Option<Resume>,
    sender: &mpsc::Sender<AnyPage>,
    pumped: &mut Pumped,
) -> Result<(), StepFault> {
    let context = Context { resume: resume.clone(), ..source.context.clone() };
    guest.open(source.opening.clone(), context).await?;
    loop {
        let Ok(room) = sender.reserve().await else {
            // Whoever takes the pages has given up, and knows why.
            return Ok(());
        };
        let Some(page) = guest.next().await? else { break };
        let token = match &page {
            AnyPage::Identities(page) => &page.resume,
            AnyPage::Objects(page) => &page.resume,
            AnyPage::Access(page) => &page.resume,
            AnyPage::Usage(page) => &page.resume,
        };
        let token = token.clone();
        room.send(page);
        *resume = token;
    }
    if source.step == Step::DataUsage {
        pumped.coverage = guest.coverage().await?;
    }
    Ok(())
}
