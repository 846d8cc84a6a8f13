//! The reading steps: pages are checked, put on record, and sent as they come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use raito_core::digest::{Digest, Hasher};
use raito_core::event::{Event, Place};
use raito_core::exchange::{CloudError, UploadId, UploadRules};
use raito_core::fault::{BadRecord, LimitHit, StepFault};
use raito_core::groups::Groups;
use raito_core::limits;
use raito_core::ports::{AnyPage, Context, Guest, Opening, StepBroker, Upload, Writes};
use raito_core::record::{AccessControl, Description, Gap, Statement, User};
use raito_core::references::References;
use raito_core::step::Step;
use raito_core::text::{ExternalId, Name};
use raito_core::unite::{AccessControls, AccessReading, Reading};
use raito_core::upload::{End, Line, Receipt};
use raito_core::uses::uses;

use crate::event::RunEvent;
use crate::pump::{Pump, Pumped, Source};
use crate::redact;
use crate::target::{Failure, TargetRun};

/// What a reading step found.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) records: u64,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) receipt: Option<Receipt>,
    /// Of the digests of all lines, as they are on record, batch by batch.
    pub(crate) sha256: Option<Digest>,
    pub(crate) controls: AccessControls,
    pub(crate) description: Option<Description>,
    pub(crate) memory_bytes: u64,
    pub(crate) calls: u64,
    pub(crate) warnings: Vec<String>,
    /// The account names of users that are kept.
    pub(crate) users: BTreeMap<ExternalId, Name>,
    /// Who is in which group, where that is kept.
    pub(crate) groups: Groups,
    /// Users, groups, memberships and objects, where all are kept.
    pub(crate) kept: Vec<Line>,
    /// The definitions and names of the steps so far.
    pub(crate) references: References,
}

/// What of a read is kept for step 4.
pub(crate) struct Keeping<'k> {
    /// Which access controls are kept whole.
    pub(crate) controls: &'k (dyn Fn(&AccessControl) -> bool + Send + Sync),
    /// Which users' names are kept for certain.
    pub(crate) users: &'k (dyn Fn(&User) -> bool + Send + Sync),
    /// Up to how many names others' are kept as well, so that reports can name them.
    pub(crate) more_users: usize,
    /// Whether it is kept who is in which group.
    pub(crate) groups: bool,
    /// Whether all other records are kept as well, as they were read.
    pub(crate) records: bool,
}

impl Keeping<'_> {
    /// Nothing.
    pub(crate) const NONE: Keeping<'static> =
        Keeping { controls: &|_| false, users: &|_| false, more_users: 0, groups: false, records: false };
}

/// What is to be read.
pub(crate) struct Task<'t> {
    pub(crate) opening: Opening,
    /// The description, where an earlier step told it.
    pub(crate) description: Option<&'t Description>,
    pub(crate) keep: &'t Keeping<'t>,
    /// Whether the cloud is told.
    pub(crate) sends: bool,
    /// The definitions and names of the steps before.
    pub(crate) references: References,
}

/// A reading step in progress.
struct Reader<'r> {
    run: &'r TargetRun<'r>,
    step: Step,
    reading: Reading,
    access: AccessReading,
    description: Option<&'r Description>,
    keep: &'r Keeping<'r>,
    users: BTreeMap<ExternalId, Name>,
    groups: Groups,
    kept: Vec<Line>,
    references: References,
    upload: Option<Box<dyn Upload>>,
    /// Of all that is sent.
    hasher: Hasher,
    /// Of the digests that are on record.
    batches: Hasher,
    lines: u64,
    bytes: u64,
}

/// Carries out a reading step.
pub(crate) async fn read_step(run: &TargetRun<'_>, task: Task<'_>) -> Result<Read, Failure> {
    let broker = run.broker.open(task.opening.step(), Writes::Refused);
    let result = tokio::time::timeout(limits::STEP_WALL, read_with(run, task, &broker)).await;
    broker.close().await;
    // What was withheld is why the step fails, whatever the connector made of it.
    if let Some(failure) = withheld(&broker) {
        return Err(failure);
    }
    let mut read = result.map_err(|_| {
        let allowed = format!("{} h", limits::STEP_WALL.as_secs() / 3_600);
        StepFault::Limit(LimitHit { what: "time in one step", allowed })
    })??;
    let used = broker.used();
    read.calls = used.calls;
    if used.log_dropped > 0 {
        read.warnings.push(format!("{} log messages of the connector were dropped", used.log_dropped));
    }
    Ok(read)
}

async fn read_with(run: &TargetRun<'_>, task: Task<'_>, broker: &Arc<dyn StepBroker>) -> Result<Read, Failure> {
    let step = task.opening.step();
    let context = run.context();
    let mut guest = None;
    let mut described = None;
    if step == Step::DataSource {
        let mut started = run.connector.start(step, Arc::clone(broker) as _).await?;
        described = Some(started.describe(context.clone()).await?);
        guest = Some(started);
    }
    let upload_id = UploadId { run: run.id.clone(), step };
    let rules = UploadRules { thresholds: run.target.thresholds, allow_removals: run.allow_removals };
    let upload = if task.sends { Some(run.cloud.upload(upload_id.clone(), rules).await?) } else { None };
    let mut reader = Reader {
        run,
        step,
        reading: Reading::default(),
        access: AccessReading::default(),
        description: described.as_ref().or(task.description),
        keep: task.keep,
        users: BTreeMap::new(),
        groups: Groups::default(),
        kept: Vec::new(),
        references: task.references,
        upload,
        hasher: Hasher::default(),
        batches: Hasher::default(),
        lines: 0,
        bytes: 0,
    };
    if let Some(description) = &described {
        reader.send(vec![Line::Description(Box::new(description.clone()))]).await?;
    }
    let pumped = reader.pull(task.opening, context, guest, broker).await?;
    if let Some(failure) = withheld(broker) {
        return Err(failure);
    }
    if let Some(coverage) = pumped.coverage {
        reader.send(vec![Line::Coverage(coverage)]).await?;
    }
    let receipt = reader.finish(&upload_id).await?;
    let undefined = reader.references.end(step, reader.reading.gaps());
    let mut warnings: Vec<String> = undefined.iter().map(ToString::to_string).collect();
    if step == Step::AccessFromTarget && reader.references.too_many() {
        warnings.push("so much was read that nobody looked whether everything that is named is defined".to_owned());
    }
    Ok(Read {
        records: reader.reading.records(),
        gaps: reader.reading.gaps().to_vec(),
        receipt,
        sha256: Some(std::mem::take(&mut reader.batches).finish()),
        users: std::mem::take(&mut reader.users),
        groups: std::mem::take(&mut reader.groups),
        kept: std::mem::take(&mut reader.kept),
        controls: reader.access.finish(),
        memory_bytes: pumped.used.memory_bytes,
        calls: 0,
        warnings,
        references: std::mem::take(&mut reader.references),
        description: described,
    })
}

impl Reader<'_> {
    /// Takes pages from the pump until there are no more, somebody stops, or one is wrong.
    async fn pull(
        &mut self,
        opening: Opening,
        context: Context,
        guest: Option<Box<dyn Guest>>,
        broker: &Arc<dyn StepBroker>,
    ) -> Result<Pumped, Failure> {
        let source = Source {
            connector: Arc::clone(&self.run.connector),
            broker: Arc::clone(broker),
            step: self.step,
            opening,
            context,
        };
        let mut pump = Pump::start(source, guest);
        while let Some(page) = pump.pages.recv().await {
            let taken = match self.run.stop.is_asked() {
                true => Err(Failure::Step(StepFault::Interrupted)),
                false => self.page(page).await,
            };
            if let Err(failure) = taken {
                // A step that failed does nothing more, neither at the target nor on record.
                pump.stop().await;
                return Err(failure);
            }
        }
        let (pumped, result) = pump.end().await;
        result?;
        Ok(pumped)
    }

    async fn page(&mut self, page: AnyPage) -> Result<(), Failure> {
        let lines =
            self.check(page).map_err(|record| StepFault::BadRecord { page: self.reading.pages().max(1), record })?;
        self.send(lines).await?;
        self.run.observer.observe(&RunEvent::Progress {
            target: self.run.target.name.to_string(),
            step: self.step,
            pages: self.reading.pages(),
            records: self.reading.records(),
        });
        Ok(())
    }

    /// Checks a page against everything that came before, and gives it as lines.
    fn check(&mut self, page: AnyPage) -> Result<Vec<Line>, BadRecord> {
        let missing = || BadRecord::new("description", "the connector has not described the target");
        let (send, ledger) = (&self.run.target.send, self.run.ledger.as_ref());
        let mut lines = Vec::new();
        match page {
            AnyPage::Identities(page) => {
                let records = page.records;
                let count = records.users.len() + records.groups.len() + records.memberships.len();
                self.reading.page(count, page.gaps)?;
                self.reading.identities(&records)?;
                for user in &records.users {
                    if self.users.len() < self.keep.more_users || (self.keep.users)(user) {
                        self.users.insert(user.external_id.clone(), user.user_name.clone());
                    }
                }
                if self.keep.groups {
                    self.groups.take(&records, self.run.now_ms);
                }
                if self.keep.records {
                    self.kept.extend(records.users.iter().cloned().map(Line::User));
                    self.kept.extend(records.groups.iter().cloned().map(Line::Group));
                    self.kept.extend(records.memberships.iter().cloned().map(Line::Membership));
                }
                lines.extend(records.users.into_iter().map(|user| Line::User(redact::user(user, send, ledger))));
                lines.extend(records.groups.into_iter().map(Line::Group));
                lines.extend(records.memberships.into_iter().map(Line::Membership));
            }
            AnyPage::Objects(page) => {
                self.reading.page(page.records.objects.len(), page.gaps)?;
                self.reading.objects(&page.records, self.description.ok_or_else(missing)?)?;
                lines.extend(page.records.objects.into_iter().map(Line::Object));
            }
            AnyPage::Access(page) => {
                let records = page.records;
                self.reading.page(records.count(), page.gaps)?;
                let description = self.description.ok_or_else(missing)?;
                self.access.take(&mut self.reading, &records, description, self.keep.controls)?;
                lines.extend(records.access_controls.into_iter().map(|control| Line::AccessControl(Box::new(control))));
                lines.extend(records.parts.into_iter().map(Line::Part));
            }
            AnyPage::Usage(page) => {
                self.reading.page(page.records.statements.len(), page.gaps)?;
                let dialect = self.description.and_then(|description| description.sql_dialect.as_ref());
                let told = page.records.statements.into_iter().map(|statement| told(statement, dialect));
                lines.extend(told.map(|statement| Line::Statement(redact::statement(statement, send, ledger))));
            }
        }
        Ok(lines)
    }

    /// Puts lines on record and sends them.
    async fn send(&mut self, lines: Vec<Line>) -> Result<(), Failure> {
        let count = lines.len() as u64;
        let mut bytes = Vec::with_capacity(lines.len() * 128);
        // Each record is kept or goes as soon as it is written: a page and its text are not in memory both.
        for line in lines {
            line.write(&mut bytes);
            self.references.take(&line);
            self.keep_line(line);
        }
        self.lines += count;
        self.bytes += bytes.len() as u64;
        if self.keep.records && self.bytes > limits::CATALOGUE_BYTES {
            let allowed = format!("{} bytes", limits::CATALOGUE_BYTES);
            return Err(Failure::Step(StepFault::Limit(LimitHit { what: "a read that is kept whole", allowed })));
        }
        let sha256 = Digest::of(&bytes);
        self.batches.field(sha256.as_bytes());
        self.run.ledger.append(&Event::Batch {
            place: self.place(),
            page: self.reading.pages(),
            lines: count,
            bytes: bytes.len() as u64,
            sha256,
        })?;
        if let Some(upload) = &mut self.upload {
            self.hasher.update(&bytes);
            upload.send(bytes).await?;
        }
        Ok(())
    }

    /// Keeps a record that was written, where it was asked for. People are kept before anything of them is left out.
    fn keep_line(&mut self, line: Line) {
        match line {
            Line::AccessControl(control) => self.access.keep_control(*control),
            Line::Part(part) => self.access.keep_part(part),
            Line::Object(_) if self.keep.records => self.kept.push(line),
            _ => {}
        }
    }

    fn place(&self) -> Place {
        Place { target: self.run.target.name.to_string(), step: self.step }
    }

    /// Sends what was missing and the end, and waits for the receipt, which must be about the bytes that were sent.
    async fn finish(&mut self, upload_id: &UploadId) -> Result<Option<Receipt>, Failure> {
        let gaps: Vec<Line> = self.reading.gaps().iter().cloned().map(Line::Gap).collect();
        if !gaps.is_empty() {
            self.send(gaps).await?;
        }
        self.send(vec![Line::End(End { lines: self.lines, complete: true })]).await?;
        let Some(upload) = self.upload.take() else { return Ok(None) };
        self.run.broker.stage_state(upload_id).map_err(StepFault::State)?;
        let receipt = upload.finish().await?;
        let sent = std::mem::take(&mut self.hasher).finish();
        if receipt.digest != sent {
            let reason = format!("it confirms {} where {sent} was sent", receipt.digest);
            return Err(Failure::Cloud(CloudError::Failed(reason)));
        }
        self.run.broker.settle_state(true).map_err(StepFault::State)?;
        self.run.ledger.append(&Event::Receipt { place: self.place(), receipt })?;
        Ok(Some(receipt))
    }
}

/// The statement, with what its text names where the target did not tell what was used.
fn told(mut statement: Statement, dialect: Option<&Name>) -> Statement {
    if let (true, Some(text), Some(dialect)) = (statement.accessed.is_empty(), &statement.text, dialect) {
        match uses(text.as_str(), dialect.as_str()) {
            Ok(named) => statement.named = named,
            Err(_) => statement.unclear = true,
        }
    }
    statement
}

/// The failure of a step to which something was not given, because it held a secret, or because so much was refused before.
/// Whatever the guest made of that, the step did not complete.
pub(crate) fn withheld(broker: &Arc<dyn StepBroker>) -> Option<Failure> {
    let leaked = || broker.leaked().map(StepFault::Leak);
    leaked().or_else(|| broker.exceeded().map(StepFault::Fault)).map(Failure::Step)
}

/// How long something took, in milliseconds.
pub(crate) fn elapsed_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
