//! A process that pretends to be a worker, and says what the host must not believe.
//!
//! Messages are written byte by byte, as an attacker would: nothing here shares code with the protocol. Numbers are of postcard:
//! the number of a case, then its fields; lists and texts with their length before them.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use crate::greedy;

/// Version 1; Landlock of ABI 7; seccomp.
pub(crate) const READY: &[u8] = &[0, 1, 0, 7, 1];
pub(crate) const CODE: u8 = 1;
const LOADED: &[u8] = &[2];
const STARTED: &[u8] = &[4, 0, 0];
pub(crate) const ANSWER: u8 = 5;
const OUTLINE: u8 = 8;
/// A request for the time.
const ASK_THE_TIME: &[u8] = &[7, 11];
/// An answer that a reader is open, and what the guest used.
pub(crate) const OPENED: &[u8] = &[ANSWER, 1, 0, 0];

/// Sends a frame.
pub(crate) fn send(message: &[u8]) {
    let length = u32::try_from(message.len()).expect("short");
    raw(&[&length.to_le_bytes(), message].concat());
}

/// Sends bytes as they are. That the host has gone away ends the scenario.
fn raw(bytes: &[u8]) {
    let mut channel = channel();
    if channel.write_all(bytes).is_err() {
        std::process::exit(0);
    }
}

/// Waits for a frame of the host.
pub(crate) fn hear() -> Vec<u8> {
    let mut head = [0; 4];
    let mut channel = channel();
    if channel.read_exact(&mut head).is_err() {
        std::process::exit(0);
    }
    let mut message = vec![0; u32::from_le_bytes(head) as usize];
    channel.read_exact(&mut message).expect("the host sends whole messages");
    message
}

/// The channel is standard input.
fn channel() -> std::fs::File {
    use std::os::fd::AsFd as _;
    std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor").into()
}

pub(crate) fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect("seven bits"));
    bytes
}

/// A page of step 1 with these bytes in place of its lists.
pub(crate) fn identities(lists: &[u8]) -> Vec<u8> {
    [&[ANSWER, 2, 1, 0], lists].concat()
}

/// Sends that a component exports nothing and imports this many interfaces with names of one
/// letter.
fn outline(imports: usize) {
    let names = [1, b'x'].repeat(imports);
    send(&[&[OUTLINE], &number(imports as u64)[..], &names, &[0]].concat());
}

/// Waits for a component: what is to be done with it, and its bytes.
pub(crate) fn hear_component() {
    hear();
    hear();
}

/// Goes along until a reader is asked for.
pub(crate) fn until_open() {
    send(READY);
    hear_component();
    send(LOADED);
    hear();
    send(STARTED);
    hear();
}

pub(crate) fn play(scenario: &str) -> ExitCode {
    match scenario {
        "says-nothing" => wait(),
        "ends-at-once" => return ExitCode::from(3),
        "other-version" => {
            send(&[0, 2, 0, 7, 1]);
            wait();
        }
        "hangs-while-compiling" => {
            send(READY);
            wait();
        }
        "ends-while-compiling" => {
            send(READY);
            hear_component();
            return ExitCode::from(4);
        }
        "code-that-was-not-asked-for" => {
            send(READY);
            hear_component();
            send(&[CODE]);
            wait();
        }
        "crashes-while-inspecting" => {
            send(READY);
            hear_component();
            std::process::abort();
        }
        "ends-while-inspecting" => {
            send(READY);
            return ExitCode::from(6);
        }
        "hangs-while-inspecting" => {
            send(READY);
            hear_component();
            wait();
        }
        "compiles-what-was-to-be-inspected" => {
            send(READY);
            hear_component();
            send(&[CODE]);
            wait();
        }
        "outline-of-too-many" => {
            send(READY);
            hear_component();
            outline(129);
            wait();
        }
        "outline-without-end" => {
            send(READY);
            hear_component();
            send(&[&[OUTLINE], &number(1 << 40)[..], &[1; 1_000]].concat());
            wait();
        }
        "garbage" => {
            until_open();
            raw(&[16, 0, 0, 0]);
            raw(&[0xff; 16]);
            wait();
        }
        "long-frame" => {
            until_open();
            raw(&u32::MAX.to_le_bytes());
            (0..1_000).for_each(|_| raw(&[0; 65_536]));
        }
        "out-of-order" => {
            until_open();
            send(LOADED);
            wait();
        }
        "answer-to-another-question" => {
            until_open();
            send(&[ANSWER, 3, 0, 0, 0]);
            wait();
        }
        "page-of-another-step" => {
            until_open();
            send(OPENED);
            send(&[ANSWER, 2, 1, 3, 0, 0, 0, 0, 0]);
            wait();
        }
        "huge-count" => {
            until_open();
            send(OPENED);
            send(&identities(&number(1 << 40)));
            wait();
        }
        "many-empty" => {
            until_open();
            send(OPENED);
            // Memberships of nobody in nothing, in nearly as many bytes as a message may have.
            let count = 3_750_000;
            send(&identities(&[vec![0, 0], number(count), vec![0; 30_000_000], vec![0, 0, 0, 0]].concat()));
            wait();
        }
        "bad-record" => {
            until_open();
            send(OPENED);
            send(&identities(&user("")));
            wait();
        }
        "good-record" => {
            until_open();
            send(OPENED);
            send(&identities(&user("u1")));
            send(&[ANSWER, 2, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 3]);
            wait();
        }
        "ends-mid-page" => {
            until_open();
            send(OPENED);
            raw(&[200, 0, 0, 0, ANSWER, 2, 1, 0]);
            return ExitCode::from(5);
        }
        "hangs-up-and-lives" => {
            until_open();
            rustix::net::shutdown(std::io::stdin(), rustix::net::Shutdown::Both).expect("a socket");
            wait();
        }
        "floods" => {
            until_open();
            loop {
                send(OPENED);
            }
        }
        "hangs-when-started" => {
            send(READY);
            hear_component();
            send(LOADED);
            hear();
            wait();
        }
        "hangs-when-asked" => {
            until_open();
            wait();
        }
        "hangs-within-a-message" => {
            until_open();
            send(OPENED);
            raw(&[200, 0, 0, 0, ANSWER, 2, 1, 0]);
            wait();
        }
        "asks-and-hears-nothing" => {
            until_open();
            loop {
                send(ASK_THE_TIME);
            }
        }
        "asks-without-end" => {
            until_open();
            loop {
                send(ASK_THE_TIME);
                hear();
            }
        }
        "pages-without-end" => {
            until_open();
            send(OPENED);
            loop {
                send(&identities(&user("u1")));
            }
        }
        other => greedy::play(other),
    }
    ExitCode::SUCCESS
}

/// One user with an id, and nothing else on the page.
fn user(id: &str) -> Vec<u8> {
    let id = [number(id.len() as u64), id.as_bytes().to_vec()].concat();
    [vec![1], id, USER_REST.to_vec(), vec![0, 0, 0, 0], vec![0, 0]].concat()
}

/// What follows the id of a user: a user name, no name for people, no address, enabled, not known whether a machine, no tags.
pub(crate) const USER_REST: &[u8] = &[1, b'u', 0, 0, 1, 0, 0];

/// Waits without end, until the host ends this process.
fn wait() {
    loop {
        std::thread::park();
    }
}
