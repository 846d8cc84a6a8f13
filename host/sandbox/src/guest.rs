//! One instance of a connector: a store of its own for one step, thrown away after it.

use std::sync::Arc;

use raito_core::fault::{BadRecord, LimitHit, StepFault};
use raito_core::limits;
use raito_core::ports::{AnyPage, BoxFuture, Broker, Context, Guest, GuestUse, Opening};
use raito_core::record::{Applied, ChangeSet, Coverage, Description};
use raito_core::step::Step;
use raito_core::text::{self, ExternalId};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use wasmtime::component::{Instance as WasmInstance, InstancePre, ResourceAny};
use wasmtime::{Store, UpdateDeadline};

use crate::bindings::exports::raito::connector as exports;
use crate::bindings::raito::connector::types;
use crate::engine::{Engine, ticks};
use crate::host::host_fault;
use crate::state::State;
use crate::trap::{OutOfTime, step_fault};
use crate::{lift, lower};

/// The functions of the one step interface that an instance is used for.
enum Exports {
    IdentityStore(exports::identity_store::Guest),
    DataSource(exports::data_source::Guest),
    AccessFromTarget(exports::access_from_target::Guest),
    AccessToTarget(exports::access_to_target::Guest),
    DataUsage(exports::data_usage::Guest),
}

/// An instance with its store.
pub(crate) struct Instance {
    store: Store<State>,
    exports: Exports,
    reader: Option<ResourceAny>,
    pages: u64,
    calls: u64,
    /// After a fault, a trap or a limit the guest is never called again.
    broken: bool,
}

/// Calls into the guest under the bounds of one call, and unwraps what the runtime and the guest say of it.
macro_rules! guarded {
    ($instance:ident, $call:expr) => {{
        $instance.begin()?;
        let answer = timeout(limits::CALL_WALL, $call).await;
        $instance.end(answer)?
    }};
}

impl Instance {
    pub(crate) async fn start(
        engine: &Engine,
        instance: &InstancePre<State>,
        step: Step,
        broker: Arc<dyn Broker>,
    ) -> Result<Self, StepFault> {
        let mut store = Store::new(engine.inner(), State::new(broker));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits::HOSTCALL_BYTES);
        store.set_max_component_handles(limits::GUEST_HANDLES);
        store.set_epoch_deadline(1);
        let budget = ticks(limits::CALL_CPU);
        store.epoch_deadline_callback(move |mut context| {
            let state = context.data_mut();
            state.call_ticks += 1;
            state.ticks += 1;
            if state.call_ticks > budget { Err(OutOfTime.into()) } else { Ok(UpdateDeadline::Yield(1)) }
        });
        let started = timeout(limits::CALL_WALL, instance.instantiate_async(&mut store)).await;
        let started = started.map_err(|_| too_slow())?.map_err(|error| step_fault(&error, store.data()))?;
        let exports = load(&mut store, instance, &started, step)
            .map_err(|error| StepFault::Trap { message: text::excerpt(&error.root_cause().to_string(), 200) })?;
        Ok(Self { store, exports, reader: None, pages: 0, calls: 0, broken: false })
    }

    /// Begins a call. Until it is known to have succeeded, the guest counts as broken.
    fn begin(&mut self) -> Result<(), StepFault> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(StepFault::Trap { message: "it was called after it had failed".into() });
        }
        self.calls += 1;
        self.store.data_mut().call_ticks = 0;
        self.store.set_epoch_deadline(1);
        Ok(())
    }

    /// Says what a call came to.
    fn end<T>(&mut self, answer: Result<wasmtime::Result<Result<T, types::Fault>>, Elapsed>) -> Result<T, StepFault> {
        let answer = answer.map_err(|_| too_slow())?.map_err(|error| step_fault(&error, self.store.data()))?;
        let value = answer.map_err(|fault| StepFault::Fault(host_fault(fault)))?;
        self.broken = false;
        Ok(value)
    }

    /// A record that breaks the contract ends the guest.
    fn check<T>(&mut self, lifted: Result<T, BadRecord>) -> Result<T, StepFault> {
        lifted.map_err(|record| {
            self.broken = true;
            StepFault::BadRecord { page: self.pages, record }
        })
    }

    async fn open_reader(&mut self, opening: Opening, context: Context) -> Result<(), StepFault> {
        let context = lower::context(context);
        let reader = match (&self.exports, &opening) {
            (Exports::IdentityStore(guest), Opening::IdentityStore) => {
                let guest = guest.clone();
                guarded!(self, guest.call_open(&mut self.store, &context))
            }
            (Exports::DataSource(guest), Opening::DataSource(under)) => {
                let (guest, under) = (guest.clone(), under.as_ref().map(ExternalId::as_str));
                guarded!(self, guest.call_open(&mut self.store, &context, under))
            }
            (Exports::AccessFromTarget(guest), Opening::AccessFromTarget) => {
                let guest = guest.clone();
                guarded!(self, guest.call_open(&mut self.store, &context))
            }
            (Exports::DataUsage(guest), Opening::DataUsage(since)) => {
                let (guest, since) = (guest.clone(), *since);
                guarded!(self, guest.call_open(&mut self.store, &context, since))
            }
            _ => return Err(wrong_step()),
        };
        self.reader = Some(reader);
        Ok(())
    }

    async fn next_page(&mut self) -> Result<Option<AnyPage>, StepFault> {
        let reader = self.reader.ok_or_else(wrong_step)?;
        self.pages += 1;
        // Each arm is the same three lines for another page type.
        match &self.exports {
            Exports::IdentityStore(guest) => {
                let guest = guest.clone();
                let page = guarded!(self, guest.reader().call_next(&mut self.store, reader));
                self.check(page.map(lift::identity_page).transpose()).map(|page| page.map(AnyPage::Identities))
            }
            Exports::DataSource(guest) => {
                let guest = guest.clone();
                let page = guarded!(self, guest.reader().call_next(&mut self.store, reader));
                self.check(page.map(lift::object_page).transpose()).map(|page| page.map(AnyPage::Objects))
            }
            Exports::AccessFromTarget(guest) => {
                let guest = guest.clone();
                let page = guarded!(self, guest.reader().call_next(&mut self.store, reader));
                self.check(page.map(lift::access_page).transpose()).map(|page| page.map(AnyPage::Access))
            }
            Exports::DataUsage(guest) => {
                let guest = guest.clone();
                let page = guarded!(self, guest.reader().call_next(&mut self.store, reader));
                self.check(page.map(lift::usage_page).transpose()).map(|page| page.map(AnyPage::Usage))
            }
            Exports::AccessToTarget(_) => Err(wrong_step()),
        }
    }

    async fn read_coverage(&mut self) -> Result<Option<Coverage>, StepFault> {
        let (Exports::DataUsage(guest), Some(reader)) = (&self.exports, self.reader) else { return Err(wrong_step()) };
        let guest = guest.clone();
        self.begin()?;
        let answer = timeout(limits::CALL_WALL, guest.reader().call_coverage(&mut self.store, reader)).await;
        let coverage = self.end(answer.map(|answer| answer.map(Ok)))?;
        self.check(coverage.map(lift::coverage).transpose())
    }

    async fn describe_target(&mut self, context: Context) -> Result<Description, StepFault> {
        let Exports::DataSource(guest) = &self.exports else { return Err(wrong_step()) };
        let (guest, context) = (guest.clone(), lower::context(context));
        let description = guarded!(self, guest.call_describe(&mut self.store, &context));
        self.check(lift::description(description).map_err(|bad| bad.within("description")))
    }

    async fn apply_changes(&mut self, context: Context, changes: Vec<ChangeSet>) -> Result<Vec<Applied>, StepFault> {
        let Exports::AccessToTarget(guest) = &self.exports else { return Err(wrong_step()) };
        let (guest, context) = (guest.clone(), lower::context(context));
        let sets: Vec<_> = changes.iter().map(lower::change_set).collect();
        let answers = guarded!(self, guest.call_apply(&mut self.store, &context, &sets));
        let answered = answers.len();
        let lifted = answers.into_iter().enumerate().map(|(index, answer)| {
            let result = lift::applied(answer, changes.get(index).map_or(0, |set| set.changes.len()));
            result.map_err(|bad| bad.within(format!("applied[{index}]")))
        });
        let lifted = self.check(lifted.collect::<Result<Vec<_>, _>>())?;
        if answered != changes.len() {
            let reason = format!("{answered} answers to {} change-sets", changes.len());
            return self.check(Err(BadRecord::new("applied", reason)));
        }
        Ok(lifted)
    }
}

impl Guest for Instance {
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
        let state = self.store.data();
        GuestUse { memory_bytes: state.limiter.memory_peak() as u64, ticks: state.ticks, calls: self.calls }
    }
}

/// Finds the functions of a step in an instance.
fn load(
    store: &mut Store<State>,
    before: &InstancePre<State>,
    instance: &WasmInstance,
    step: Step,
) -> wasmtime::Result<Exports> {
    Ok(match step {
        Step::IdentityStore => {
            Exports::IdentityStore(exports::identity_store::GuestIndices::new(before)?.load(store, instance)?)
        }
        Step::DataSource => {
            Exports::DataSource(exports::data_source::GuestIndices::new(before)?.load(store, instance)?)
        }
        Step::AccessFromTarget => {
            Exports::AccessFromTarget(exports::access_from_target::GuestIndices::new(before)?.load(store, instance)?)
        }
        Step::AccessToTarget => {
            Exports::AccessToTarget(exports::access_to_target::GuestIndices::new(before)?.load(store, instance)?)
        }
        Step::DataUsage => Exports::DataUsage(exports::data_usage::GuestIndices::new(before)?.load(store, instance)?),
    })
}

fn too_slow() -> StepFault {
    StepFault::Limit(LimitHit { what: "time in one call", allowed: format!("{} s", limits::CALL_WALL.as_secs()) })
}

/// A function of another step was asked for: a defect of the host, which starts an instance for one step.
fn wrong_step() -> StepFault {
    StepFault::Host("the instance was started for another step".into())
}
