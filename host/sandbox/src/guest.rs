//! One instance of a connector: a store of its own for one step, thrown away after it.

use std::sync::Arc;
use std::time::Duration;

use raito_core::fault::StepFault;
use raito_core::limits;
use raito_core::ports::{BoxFuture, Broker, GuestUse};
use raito_core::step::Step;
use wasmtime::component::{Instance as WasmInstance, InstancePre, ResourceAny};
use wasmtime::{Store, UpdateDeadline};

use crate::bindings::exports::raito::connector as exports;
use crate::bindings::raito::connector::types;
use crate::engine::{Engine, ticks};
use crate::raw::{Answer, Ask, Failure, Page, Raw, Reader};
use crate::state::State;
use crate::trap::{OutOfTime, failure};

/// The functions of the one step interface that an instance is used for.
enum Exports {
    IdentityStore(exports::identity_store::Guest),
    DataSource(exports::data_source::Guest),
    AccessFromTarget(exports::access_from_target::Guest),
    AccessToTarget(exports::access_to_target::Guest),
    DataUsage(exports::data_usage::Guest),
}

/// An instance with its store.
pub struct Instance {
    store: Store<State>,
    exports: Exports,
    reader: Option<ResourceAny>,
    calls: u64,
}

/// Calls into the guest, and unwraps what the runtime and the guest say of it.
macro_rules! call {
    ($instance:ident, $call:expr) => {{
        let answer = $call.await;
        $instance.answered(answer)?
    }};
}

impl Instance {
    pub(crate) async fn start(
        engine: &Engine,
        instance: &InstancePre<State>,
        step: Step,
        broker: Arc<dyn Broker>,
        call_cpu: Duration,
    ) -> Result<Self, Failure> {
        let mut store = Store::new(engine.inner(), State::new(broker));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits::HOSTCALL_BYTES);
        store.set_max_component_handles(limits::GUEST_HANDLES);
        store.set_epoch_deadline(1);
        let budget = ticks(call_cpu);
        store.epoch_deadline_callback(move |mut context| {
            let state = context.data_mut();
            state.call_ticks += 1;
            state.ticks += 1;
            if state.call_ticks > budget + state.waited_ticks() {
                Err(OutOfTime.into())
            } else {
                Ok(UpdateDeadline::Yield(1))
            }
        });
        let started = instance.instantiate_async(&mut store).await;
        let started = started.map_err(|error| failure(&error, store.data()))?;
        let exports = load(&mut store, instance, &started, step)
            .map_err(|error| Failure::Trap(error.root_cause().to_string()))?;
        Ok(Self { store, exports, reader: None, calls: 0 })
    }

    /// Asks the guest, within its bounds of processor time, memory and data. Wall time is up to who asks. After a failure
    /// the instance must not be asked again.
    ///
    /// # Errors
    /// What the guest said instead, or what ended it.
    pub async fn answer(&mut self, ask: Ask) -> Result<Answer, Failure> {
        self.calls += 1;
        self.store.data_mut().begin_call();
        self.store.set_epoch_deadline(1);
        match ask {
            Ask::Describe(context) => {
                let Exports::DataSource(guest) = &self.exports else { return Err(wrong_step()) };
                let guest = guest.clone();
                Ok(Answer::Described(call!(self, guest.call_describe(&mut self.store, &context))))
            }
            Ask::Open(reader, context) => self.open(reader, &context).await,
            Ask::Next => self.next().await,
            Ask::Coverage => {
                let (Exports::DataUsage(guest), Some(reader)) = (&self.exports, self.reader) else {
                    return Err(wrong_step());
                };
                let guest = guest.clone();
                let coverage = guest.reader().call_coverage(&mut self.store, reader).await.map(Ok);
                Ok(Answer::Coverage(self.answered(coverage)?))
            }
            Ask::Apply(context, sets) => {
                let Exports::AccessToTarget(guest) = &self.exports else { return Err(wrong_step()) };
                let guest = guest.clone();
                Ok(Answer::Applied(call!(self, guest.call_apply(&mut self.store, &context, &sets))))
            }
        }
    }

    /// Says what a call came to.
    fn answered<T>(&self, answer: wasmtime::Result<Result<T, types::Fault>>) -> Result<T, Failure> {
        answer.map_err(|error| failure(&error, self.store.data()))?.map_err(Failure::Fault)
    }

    async fn open(&mut self, reader: Reader, context: &types::Context) -> Result<Answer, Failure> {
        let reader = match (&self.exports, &reader) {
            (Exports::IdentityStore(guest), Reader::IdentityStore) => {
                let guest = guest.clone();
                call!(self, guest.call_open(&mut self.store, context))
            }
            (Exports::DataSource(guest), Reader::DataSource(under)) => {
                let guest = guest.clone();
                call!(self, guest.call_open(&mut self.store, context, under.as_deref()))
            }
            (Exports::AccessFromTarget(guest), Reader::AccessFromTarget) => {
                let guest = guest.clone();
                call!(self, guest.call_open(&mut self.store, context))
            }
            (Exports::DataUsage(guest), Reader::DataUsage(since)) => {
                let guest = guest.clone();
                call!(self, guest.call_open(&mut self.store, context, *since))
            }
            _ => return Err(wrong_step()),
        };
        self.reader = Some(reader);
        Ok(Answer::Opened)
    }

    async fn next(&mut self) -> Result<Answer, Failure> {
        let reader = self.reader.ok_or_else(wrong_step)?;
        // Each arm is the same two lines for another page type.
        let page = match &self.exports {
            Exports::IdentityStore(guest) => {
                let guest = guest.clone();
                call!(self, guest.reader().call_next(&mut self.store, reader)).map(Page::Identities)
            }
            Exports::DataSource(guest) => {
                let guest = guest.clone();
                call!(self, guest.reader().call_next(&mut self.store, reader)).map(Page::Objects)
            }
            Exports::AccessFromTarget(guest) => {
                let guest = guest.clone();
                call!(self, guest.reader().call_next(&mut self.store, reader)).map(Page::Access)
            }
            Exports::DataUsage(guest) => {
                let guest = guest.clone();
                call!(self, guest.reader().call_next(&mut self.store, reader)).map(Page::Usage)
            }
            Exports::AccessToTarget(_) => return Err(wrong_step()),
        };
        Ok(Answer::Page(page))
    }

    /// What it used so far.
    pub fn used(&self) -> GuestUse {
        let state = self.store.data();
        GuestUse { memory_bytes: state.limiter.memory_peak() as u64, ticks: state.ticks, calls: self.calls }
    }
}

impl Raw for Instance {
    fn ask(&mut self, ask: Ask) -> BoxFuture<'_, Result<Answer, StepFault>> {
        Box::pin(async move { Ok(self.answer(ask).await?) })
    }

    fn used(&self) -> GuestUse {
        Instance::used(self)
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

/// A function of another step was asked for, which the check before does not let through.
fn wrong_step() -> Failure {
    Failure::Trap("it was started for another step".into())
}
