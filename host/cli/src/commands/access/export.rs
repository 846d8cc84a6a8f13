//! `raito access export`

use raito_access::export::{csv, snapshot};
use raito_core::exchange::Outcome;
use raito_run::access;

use super::planning;
use super::session::Session;
use crate::args::access::ExportArgs;
use crate::args::{Global, Output};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::data;

/// Prints the access that exists: a table, or everything that was read.
pub(super) async fn run(global: &Global, args: &ExportArgs) -> Result<Exit, CliError> {
    if !matches!(global.output, Output::Csv | Output::Json) {
        let error = CliError::new(codes::USAGE, "access is exported as a table or as a snapshot");
        return Err(error.help("write --output csv or --output json"));
    }
    let session = Session::open(global, args.isolated, true)?;
    let result = print(&session, global, args).await;
    session.close(result)
}

async fn print(session: &Session, global: &Global, args: &ExportArgs) -> Result<Exit, CliError> {
    let opened = session.open_target(&args.target).await?;
    let run = opened.run();
    access::begin(&run).map_err(|failure| opened.failed(&failure))?;
    let seen = planning::see(&opened).await?;
    access::end(&run, Outcome::Completed).map_err(|failure| opened.failed(&failure))?;
    match global.output {
        Output::Csv => csv(&seen.catalogue).iter().for_each(|line| data(line)),
        _ => {
            let Ok(()) = snapshot(&seen.catalogue, |line| {
                data(line);
                Ok::<(), std::convert::Infallible>(())
            });
        }
    }
    Ok(Exit::Done)
}
