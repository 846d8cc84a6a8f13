//! A process that pretends to be a worker, and says what takes as much of its host's memory as anything that is believed, or
//! nearly is. Then it ends with 6.

use crate::fake::{CODE, OPENED, READY, USER_REST, hear, hear_component, identities, number, send, until_open};

/// Bytes of a message of a worker, and of code, at most (`limits`).
const MESSAGE_BYTES: usize = 32 << 20;
const CODE_BYTES: usize = 128 << 20;
/// Items of one list that the host takes (`limits`).
const LIST_ITEMS: usize = 200_000;
/// What the host adds up for a message at most, and for each of its values (`frame`).
const METER: usize = 4 * MESSAGE_BYTES;
const VALUE_BYTES: usize = 32;

fn text(bytes: usize) -> Vec<u8> {
    [number(bytes as u64), vec![b'x'; bytes]].concat()
}

/// A user with tags whose values have this many bytes.
fn user_with_tags(id: usize, tags: usize, value: usize) -> Vec<u8> {
    let id = format!("u{id}");
    let tag = [text(1), text(value), text(1)].concat();
    let rest = [&USER_REST[..USER_REST.len() - 1], &number(tags as u64)].concat();
    [number(id.len() as u64), id.into_bytes(), rest, tag.repeat(tags)].concat()
}

/// A user with tags without any text, which are three values each.
fn user_of_nothing(tags: usize) -> Vec<u8> {
    let rest = [&USER_REST[..USER_REST.len() - 1], &number(tags as u64)].concat();
    [vec![1, b'u'], rest, vec![0; 3 * tags]].concat()
}

/// A page of these users.
fn page(count: usize, users: Vec<u8>) -> Vec<u8> {
    identities(&[number(count as u64), users, vec![0, 0, 0, 0], vec![0, 0]].concat())
}

pub(crate) fn play(scenario: &str) {
    if scenario == "longest-code" {
        send(READY);
        hear_component();
        send(&[CODE]);
        send(&vec![0xcc; CODE_BYTES]);
    } else {
        until_open();
        say(scenario);
    }
    std::process::exit(6);
}

fn say(scenario: &str) {
    match scenario {
        // Users with as many and as long tags as they may have.
        "longest-page" => {
            send(OPENED);
            let page = page(31, (0..31).flat_map(|id| user_with_tags(id, 256, 4_000)).collect());
            (0..3).for_each(|_| send(&page));
        }
        // As many users as a page may have.
        "page-of-many-records" => {
            send(OPENED);
            let page = page(100_000, (0..100_000).flat_map(|id| user_with_tags(id, 0, 0)).collect());
            (0..3).for_each(|_| send(&page));
        }
        // Users of nothing with as many tags as a list may have, until the meter is full.
        "page-of-nothing" => {
            send(OPENED);
            let count = METER / VALUE_BYTES / 3 / LIST_ITEMS;
            send(&page(count, user_of_nothing(LIST_ITEMS).repeat(count)));
        }
        // The same, and one with a text in what is left of the meter and of the message.
        "dearest-page" => {
            send(OPENED);
            let count = (METER - MESSAGE_BYTES) / VALUE_BYTES / 3 / LIST_ITEMS;
            let users = user_of_nothing(LIST_ITEMS).repeat(count);
            let last = user_with_tags(0, 1, MESSAGE_BYTES - users.len() - 1_000);
            send(&page(count + 1, [users, last].concat()));
        }
        "list-beyond-any" => {
            send(OPENED);
            send(&page(1, user_of_nothing(LIST_ITEMS + 1)));
        }
        "longest-failure" => {
            const FAILED: u8 = 6;
            const TRAP: u8 = 1;
            send(&[vec![FAILED, TRAP], text(MESSAGE_BYTES - 100), vec![0, 0]].concat());
        }
        "longest-log-message" => {
            const LOG: &[u8] = &[7, 10, 2];
            let fields = [number(30), [text(1), text(1 << 20)].concat().repeat(30)].concat();
            send(&[LOG.to_vec(), text(1 << 20), fields].concat());
            hear();
        }
        // Calls with arguments, within the bounds of one transaction.
        "longest-transaction" => {
            const EXECUTE: &[u8] = &[7, 3];
            const TEXT: u8 = 1;
            let call = [text(8), text(8), vec![0, 1], text(1), vec![TEXT], text(1_600)].concat();
            send(&[EXECUTE.to_vec(), number(10_000), call.repeat(10_000)].concat());
            hear();
        }
        other => panic!("no scenario {other}"),
    }
}
