//! Logging: messages of the host and, marked as such, of connectors, to standard error and above the progress bars.

use std::io::{self, Write};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::args::Global;
use crate::env;
use crate::leaks::redact;

/// Writes to standard error without disturbing the bars, and without secrets: each message comes as one piece.
#[derive(Clone)]
struct AboveBars(MultiProgress);

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut shown = redact(text.trim_end_matches('\n')).into_owned();
        shown.push_str(&text[text.trim_end_matches('\n').len()..]);
        self.0.suspend(|| io::stderr().write_all(shown.as_bytes())).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Sets up logging for the process.
pub(crate) fn set_up(global: &Global, bars: &MultiProgress) {
    let usual = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn,connector=warn",
        (false, 1) => "info,connector=info,sqlx=warn",
        (false, 2) => {
            "debug,connector=debug,sqlx=warn,hyper=info,reqwest=info,h2=info,rustls=info,cranelift_codegen=info"
        }
        (false, _) => "trace",
    };
    let filter = env::variable(env::LOG).and_then(|text| EnvFilter::try_new(text).ok());
    let colours = crate::render::error::colours();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|| EnvFilter::new(usual)))
        .with_writer(AboveBars(bars.clone()))
        .with_ansi(colours)
        .with_target(true)
        .init();
}
