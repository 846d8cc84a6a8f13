//! `raito access import`

use std::path::Path;

use raito_access::import::{Request, import};
use raito_core::exchange::Outcome;
use raito_core::marker::Master;
use raito_run::access;

use super::planning;
use super::session::Session;
use crate::args::Global;
use crate::args::access::ImportArgs;
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::render::{data, say};

/// Writes the access that exists as files that were not there before.
pub(super) async fn run(global: &Global, args: &ImportArgs) -> Result<Exit, CliError> {
    let master: Master = format!("git:{}", args.repository)
        .parse()
        .map_err(|error| CliError::new(codes::USAGE, format!("--repository: {error}")))?;
    let session = Session::open(global, args.isolated, true)?;
    let result = write(&session, global, args, &master).await;
    session.close(result)
}

async fn write(session: &Session, global: &Global, args: &ImportArgs, master: &Master) -> Result<Exit, CliError> {
    let opened = session.open_target(&args.target).await?;
    let run = opened.run();
    access::begin(&run).map_err(|failure| opened.failed(&failure))?;
    let seen = planning::see(&opened).await?;
    access::end(&run, Outcome::Completed).map_err(|failure| opened.failed(&failure))?;
    let imported = import(&Request {
        target: &args.target,
        catalogue: &seen.catalogue,
        protected: &seen.protected,
        master,
        names: &args.names,
        compact: args.compact,
    });
    for name in imported.files.keys() {
        let path = args.into.join(name);
        if path.exists() {
            let error = CliError::new(codes::FILE, format!("{} is there already", files::shown(&path)));
            return Err(error.help("import into another folder with --into, and compare"));
        }
    }
    for (name, text) in &imported.files {
        let path = args.into.join(name);
        files::make_folder(path.parent().unwrap_or(Path::new(".")))?;
        files::write_new(&path, text.as_bytes())?;
        data(&files::shown(&path));
    }
    if !global.quiet {
        imported.left.iter().for_each(|what| say(&format!("left out: {what}")));
    }
    Ok(Exit::Done)
}
