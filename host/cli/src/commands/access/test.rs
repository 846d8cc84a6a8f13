//! `raito access test`

use std::path::Path;

use raito_access::assert::{Outcome as TestOutcome, junit};
use raito_access::code::{Code, Source};
use raito_access::evaluate::Question;
use raito_access::export::read_snapshot;
use raito_access::finding::Finding;
use raito_core::catalogue::Catalogue;
use raito_core::decide::Protected;
use raito_core::exchange::Outcome;
use raito_core::limits;
use raito_core::ports::Clock as _;
use raito_core::text::TargetName;
use raito_run::access;
use serde_json::json;

use super::planning::{self, Meant, Seen};
use super::session::Session;
use super::{findings, plan};
use crate::args::access::TestArgs;
use crate::args::{Global, Output};
use crate::clock::SystemClock;
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::render::{counted, data, say};

/// Runs the tests of the files against what would come of them.
pub(super) async fn run(global: &Global, args: &TestArgs) -> Result<Exit, CliError> {
    let Some((sources, code)) = plan::read(global, &args.files)? else { return Ok(Exit::Usage) };
    let mut all = Tested::default();
    let named: Vec<TargetName> = args.snapshot.iter().map(|(name, _)| name.clone()).collect();
    planning::targets(&code, &named)?;
    let targets = planning::targets(&code, &args.target)?;
    let (offline, live): (Vec<_>, Vec<_>) =
        targets.into_iter().partition(|name| args.snapshot.iter().any(|(taken, _)| taken == name));
    for name in &offline {
        let paths = args.snapshot.iter().filter(|(taken, _)| taken == name);
        for (_, path) in paths {
            let seen = Seen { catalogue: load(path)?.into(), protected: Protected::default() };
            all.take(&code, name, &seen, SystemClock.now_ms())?;
        }
    }
    if !live.is_empty() {
        let session = Session::open(global, args.isolated, true)?;
        let result = test_live(&session, &code, &live, &mut all).await;
        session.close(result)?;
    }
    finish(global, args, &sources, &all)
}

async fn test_live(session: &Session, code: &Code, targets: &[TargetName], all: &mut Tested) -> Result<Exit, CliError> {
    for name in targets {
        let opened = session.open_target(name).await?;
        let run = opened.run();
        access::begin(&run).map_err(|failure| opened.failed(&failure))?;
        let seen = planning::see(&opened).await?;
        access::end(&run, Outcome::Completed).map_err(|failure| opened.failed(&failure))?;
        all.take(code, name, &seen, session.now_ms())?;
    }
    Ok(Exit::Done)
}

/// A snapshot, which must be whole.
fn load(path: &Path) -> Result<Catalogue, CliError> {
    let bytes = files::read(path, limits::ACCESS_BYTES, codes::FILE)?;
    let wrong = |reason: String| CliError::new(codes::FILE, format!("{}: {reason}", files::shown(path)));
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
    read_snapshot(&text).map_err(|error| wrong(error.to_string()))
}

/// What became of all tests.
#[derive(Default)]
struct Tested {
    tests: Vec<TestOutcome>,
    problems: Vec<raito_access::resolve::Problem>,
    unclear: bool,
}

impl Tested {
    fn take(&mut self, code: &Code, target: &TargetName, seen: &Seen, now_ms: u64) -> Result<(), CliError> {
        let master = planning::master(code)?;
        let Seen { catalogue, protected } = seen;
        let question = Question { code, target, catalogue, protected, master: &master, now_ms };
        let meant = Meant::of(&question);
        self.problems.extend(meant.evaluation.problems.iter().cloned());
        if meant.is_unclear() {
            self.unclear = true;
            return Ok(());
        }
        let judged = planning::judge(&question, &meant.decision.sets)?;
        self.problems.extend(judged.problems);
        self.tests.extend(judged.tests);
        Ok(())
    }
}

fn finish(global: &Global, args: &TestArgs, sources: &[Source], all: &Tested) -> Result<Exit, CliError> {
    if let Some(path) = &args.junit {
        let xml = junit(&all.tests, |file| planning::path(sources, file));
        files::replace(path, xml.as_bytes())?;
    }
    let mut found: Vec<Finding> = planning::located(sources, &all.problems);
    found.extend(planning::failing(sources, &all.tests));
    if global.output == Output::Json {
        for test in &all.tests {
            data(&json!({ "v": 1, "event": "test", "name": test.name, "failure": test.failure }).to_string());
        }
    }
    findings::print(global.output, &found);
    let failed = all.tests.iter().filter(|test| test.failure.is_some()).count();
    if !global.quiet {
        say(&format!("{}, {failed} fail", counted(all.tests.len(), "test")));
    }
    let broken = all.problems.iter().any(|problem| problem.severity == raito_access::document::Severity::Error);
    Ok(match (all.unclear, failed > 0 || broken) {
        (true, _) => Exit::Usage,
        (false, true) => Exit::Failed,
        (false, false) => Exit::Done,
    })
}
