//! Searching answers for secrets: how fast, in megabytes and in cells a second. Prints one line for each;
//! `host/docs/performance.md` has them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use raito_core::leak::{Strand, Watch};
use raito_core::secret::Secret;

/// Bytes of one body.
const BYTES: usize = 64 << 20;
/// Bytes of a piece, as it comes from a connection.
const PIECE: usize = 64 << 10;
/// Cells of one result.
const CELLS: usize = 10_000_000;
/// Measurements of each; the median counts.
const TIMES: usize = 5;

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

fn measure(what: &str, count: usize, unit: &str, mut work: impl FnMut()) {
    let times = (0..TIMES).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed()
    });
    let took = median(times.collect());
    println!("{what}: {:.0} {unit}/s", count as f64 / took.as_secs_f64() / 1e6);
}

fn main() {
    let watch = Watch::default();
    for number in 0..5 {
        let secret = format!("a secret with the number {number}, as long as tokens are {:064x}", number * 7_919 + 1);
        watch.add(&format!("s{number}"), &Secret::new(secret).expect("a secret"));
    }
    let net = watch.net().expect("there are secrets");
    let record = "{\"id\":4711,\"name\":\"table_00004711\",\"path\":[\"root\",\"schema\"],\"tags\":[\"a\",\"b\"]},";
    let plain = record.repeat(BYTES / record.len()).into_bytes();
    let escaped = record.replace("\"a\"", "\"a\\nb 5 %\"");
    let escaped = escaped.repeat(BYTES / escaped.len()).into_bytes();
    for (what, body) in [("a body without escapes", &plain), ("a body with an escape in every record", &escaped)] {
        measure(what, body.len(), "MB", || {
            let mut stream = watch.stream();
            let found = body.chunks(PIECE).find_map(|piece| stream.feed(piece)).or_else(|| stream.end());
            assert!(black_box(found).is_none());
        });
    }
    let cell = black_box(b"table_00004711");
    measure("cells of 14 bytes", CELLS, "M cells", || {
        assert!((0..CELLS).all(|_| black_box(net.find(black_box(cell))).is_none()));
    });
    measure("cells of 14 bytes, each with those above it", CELLS, "M cells", || {
        let mut column = Strand::new(&net);
        assert!((0..CELLS).all(|_| black_box(column.next(&net, black_box(cell))).is_none()));
    });
}
