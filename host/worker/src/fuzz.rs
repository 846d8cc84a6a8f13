//! Messages of a worker, for fuzzing: whatever bytes arrive on the channel go the way that the host's end takes them, through
//! frames, the meter and the check, to records.
//!
//! What arrives at the other end stands in `orders`. It stands here because the protocol is private. Only the tests of this crate and `tests/fuzz` build it.

mod orders;

pub use orders::orders;

use raito_core::fault::StepFault;
use raito_core::limits;
use raito_core::ports::{AnyPage, BoxFuture, Context, Guest as _, GuestUse, Opening};
use raito_core::record::{Change, ChangeSet};
use raito_core::step::Step;
use raito_core::text::{Kind, Name, Remark};
use raito_sandbox::{Answer, Ask, Checked, Raw};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::{Inbox, METER, decode};
use crate::protocol::ToHost;

/// A guest with one answer, whatever it is asked.
struct Once(Option<Answer>);

impl Raw for Once {
    fn ask(&mut self, _: Ask) -> BoxFuture<'_, Result<Answer, StepFault>> {
        let answer = self.0.take().ok_or_else(|| StepFault::Trap { message: "it has nothing more to say".into() });
        Box::pin(async move { answer })
    }
    fn used(&self) -> GuestUse {
        GuestUse::default()
    }
}

/// What was let through can be sent, and is the same when it is read again: every bound of a type was checked.
fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(record: &T) {
    let text = serde_json::to_string(record).expect("a record is JSON");
    let read: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(*record, read);
}

/// Change-sets of two changes each.
fn changes(count: usize) -> Vec<ChangeSet> {
    let name = || Name::new("a").expect("a name");
    let set = || ChangeSet {
        id: name(),
        external_id: None,
        actual_name: name(),
        name: name(),
        description: Remark::new("").expect("a remark"),
        kind: Kind::new("role").expect("a kind"),
        object: None,
        version: None,
        entries: None,
        changes: vec![Change::ClearPolicy, Change::Delete],
    };
    (0..count).map(|_| set()).collect()
}

/// Takes one answer of a step as the host does.
async fn take(step: Step, answer: Answer) {
    let applied = if let Answer::Applied(applied) = &answer { applied.len() } else { 0 };
    let kind = std::mem::discriminant(&answer);
    let is = |other: &Answer| kind == std::mem::discriminant(other);
    let mut guest = Checked::new(step, Once(Some(answer)));
    if is(&Answer::Page(None)) {
        match guest.next().await {
            Ok(Some(AnyPage::Identities(page))) => survives(&page),
            Ok(Some(AnyPage::Objects(page))) => survives(&page),
            Ok(Some(AnyPage::Access(page))) => survives(&page),
            Ok(Some(AnyPage::Usage(page))) => survives(&page),
            Ok(None) | Err(_) => {}
        }
    } else if is(&Answer::Coverage(None)) {
        guest.coverage().await.iter().flatten().for_each(survives);
    } else if is(&Answer::Opened) {
        let _ = guest.open(Opening::IdentityStore, Context::default()).await;
    } else if is(&Answer::Applied(Vec::new())) {
        for applied in guest.apply(Context::default(), changes(applied)).await.iter().flatten() {
            survives(applied);
            assert!(applied.done <= 2, "more was done than was asked");
        }
    } else {
        guest.describe(Context::default()).await.iter().for_each(survives);
    }
}

/// The first byte says which step runs; the others are what arrives on the channel.
pub fn messages(data: &[u8]) {
    let Some((step, bytes)) = data.split_first() else { return };
    let step = Step::ALL[usize::from(*step) % Step::ALL.len()];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut inbox = Inbox::default();
    inbox.room().extend_from_slice(bytes);
    while let Ok(Some(message)) = inbox.take(limits::WORKER_MESSAGE_BYTES) {
        match decode::<ToHost>(&message, METER) {
            Ok(ToHost::Answer(answer, used)) => {
                assert!(used.believed(1).memory_bytes <= limits::GUEST_MEMORY_BYTES as u64);
                runtime.block_on(take(step, answer));
            }
            Ok(ToHost::Failed(failure, _)) => drop(StepFault::from(failure).to_string()),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_that_was_found_makes_the_host_panic() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/messages");
        let inputs: Vec<_> = std::fs::read_dir(folder).expect("a corpus").collect();
        assert!(inputs.len() >= 3, "the corpus is next to empty");
        for input in inputs {
            let input = input.expect("readable").path();
            let data = std::fs::read(&input).expect("readable");
            assert!(std::panic::catch_unwind(|| super::messages(&data)).is_ok(), "{}", input.display());
        }
    }

    #[test]
    fn a_sound_page_goes_all_the_way() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/messages");
        let data = std::fs::read(folder.join("identities")).expect("readable");
        let message = super::decode::<super::ToHost>(&data[5..], super::METER).expect("a message");
        let super::ToHost::Answer(answer, _) = message else { panic!("{message:?}") };
        let mut guest = super::Checked::new(super::Step::IdentityStore, super::Once(Some(answer)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        use raito_core::ports::Guest as _;
        let page = runtime.block_on(guest.next()).expect("a page");
        assert!(matches!(page, Some(super::AnyPage::Identities(page)) if page.records.users.len() == 1));
    }
}
