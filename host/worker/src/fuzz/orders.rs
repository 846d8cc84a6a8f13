//! Messages of a host, for fuzzing: whatever bytes arrive on a worker's channel go the way that the worker takes them, to a real
//! connector and back.
//!
//! A worker trusts its host, but what targets answer comes to it in the host's messages. The connector is that of the demo, which
//! makes records of JSON; it is compiled once.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::LazyLock;

use raito_core::limits;
use raito_sandbox::{Compiled, Engine, inspect};

use crate::child::{Channel, serve_instances};
use crate::frame::{Inbox, METER, UNMETERED, decode, encode};
use crate::protocol::{ToHost, ToWorker};

/// Bytes of one input: what a channel takes at once before anybody reads it.
const INPUT_BYTES: usize = 64 * 1_024;

/// The connector of the demo, ready to be started.
static DEMO: LazyLock<Compiled> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/connectors/demo.wasm");
    let bytes = std::fs::read(&file).unwrap_or_else(|_| panic!("{} is missing: run `make connectors`", file.display()));
    let demo = inspect(bytes).expect("a connector");
    let engine = Engine::new().expect("an engine");
    Compiled::new(&engine, &demo.bytes, &demo.imports).expect("compiles")
});

/// The bytes are what arrives on the channel of a worker that is ready.
pub fn orders(data: &[u8]) {
    let data = &data[..data.len().min(INPUT_BYTES)];
    messages(data).for_each(|message| stays_the_same(&message));
    conversation(data);
}

/// The messages of some bytes, up to the first that is none.
fn messages(data: &[u8]) -> impl Iterator<Item = bytes::BytesMut> {
    let mut inbox = Inbox::default();
    inbox.room().extend_from_slice(data);
    std::iter::from_fn(move || inbox.take(u32::MAX as usize).ok().flatten())
}

/// What was read is written as it is read again.
fn stays_the_same(message: &[u8]) {
    let Ok(read) = decode::<ToWorker>(message, UNMETERED) else { return };
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    encode(&read, usize::MAX, &mut once).expect("it was in a frame");
    let again: Vec<_> = messages(&once).collect();
    let again: ToWorker = decode(&again[0], UNMETERED).expect("what was written is a message");
    encode(&again, usize::MAX, &mut twice).expect("as long as the other");
    assert_eq!(once, twice, "{read:?}");
}

/// Has a worker answer all of it, and gives what it said: messages that the host's end takes.
fn conversation(data: &[u8]) -> Vec<ToHost> {
    let (worker, mut host) = UnixStream::pair().expect("a channel");
    host.write_all(data).expect("it fits");
    host.shutdown(Shutdown::Write).expect("open");
    let hearing = std::thread::spawn(move || {
        let mut said = Vec::new();
        host.read_to_end(&mut said).map(|_| said)
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let channel = Channel::shared(worker);
    let ended = runtime.block_on(serve_instances(&DEMO, &channel));
    assert!(ended.is_err(), "a worker ends with its channel, and not before");
    drop(channel);
    let said = hearing.join().expect("hears").expect("readable");
    let (mut inbox, mut all) = (Inbox::default(), Vec::new());
    inbox.room().extend_from_slice(&said);
    while let Some(message) = inbox.take(limits::WORKER_MESSAGE_BYTES).expect("no longer than the host takes") {
        let message: ToHost = decode(&message, METER).expect("the host understands it");
        assert!(
            matches!(message, ToHost::Started(_) | ToHost::Answer(..) | ToHost::Failed(..) | ToHost::Request(_)),
            "out of its order: {message:?}"
        );
        all.push(message);
    }
    assert!(inbox.is_empty(), "half a message");
    all
}

#[cfg(test)]
mod tests {
    use raito_core::ports::{AnyPage, Guest as _};
    use raito_core::step::Step;
    use raito_sandbox::{Answer, Checked};

    use super::super::Once;
    use super::*;

    fn corpus() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/orders")
    }

    #[test]
    fn nothing_that_was_found_makes_a_worker_panic() {
        let inputs: Vec<_> = std::fs::read_dir(corpus()).expect("a corpus").collect();
        assert!(inputs.len() >= 3, "the corpus is next to empty");
        for input in inputs {
            let input = input.expect("readable").path();
            let data = std::fs::read(&input).expect("readable");
            assert!(std::panic::catch_unwind(|| orders(&data)).is_ok(), "{}", input.display());
        }
    }

    #[test]
    fn an_answer_of_a_target_becomes_a_page() {
        let said = conversation(&std::fs::read(corpus().join("identities")).expect("readable"));
        let is_page = |message: &&ToHost| matches!(message, ToHost::Answer(Answer::Page(Some(_)), _));
        let Some(ToHost::Answer(answer, _)) = said.iter().find(is_page) else { panic!("no page: {said:?}") };
        let mut guest = Checked::new(Step::IdentityStore, Once(Some(answer.clone())));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let page = runtime.block_on(guest.next()).expect("a page");
        assert!(matches!(page, Some(AnyPage::Identities(page)) if page.records.users.len() == 2));
    }
}
