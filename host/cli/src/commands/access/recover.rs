//! `raito apply-access`: what was sent to a target once is sent again, without a cloud. It is for the day on which the cloud is
//! gone and access has to come back.

use raito_access::code::{FileMistakes, Source, of_saved};
use raito_access::read_saved;
use raito_access::recover::{Filter, speak_for};
use raito_core::exchange::Outcome;
use raito_run::access;

use super::session::Session;
use super::{apply, findings, planning};
use crate::args::Global;
use crate::args::access::{ApplyAccessArgs, ApplyArgs, Format};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::render::say;

/// What a person has to know before he says yes.
const WARNING: &str = "\
ATTENTION: this sends what the file says, as of the day on which it was saved, and asks no cloud.
  Deletions in it are carried out again. Access that was taken since comes back, and access that was given since goes.
  No cloud learns of it, and its next run may change everything back.";

/// Sends a saved file again.
pub(super) async fn run(global: &Global, args: &ApplyAccessArgs) -> Result<Exit, CliError> {
    let filter = Filter::new(&args.filter_access)
        .map_err(|reason| CliError::new(codes::USAGE, format!("--filter-access: {reason}")))?;
    let path = std::path::absolute(&args.file).unwrap_or_else(|_| args.file.clone());
    let source = Source { path: files::shown(&path), text: files::read_text(&args.file)? };
    let saved = match read_saved(&source.text, &args.target, &|name| filter.takes(name)) {
        Ok(saved) => saved,
        Err(mistakes) => {
            findings::mistakes(global.output, &[source], &[FileMistakes { file: 0, mistakes }]);
            return Ok(Exit::Usage);
        }
    };
    say(&format!("target {}, file {}", args.target, source.path));
    let count = saved.kept.len() + saved.deleted.len();
    if count == 0 {
        say("no access provider of the file is wanted: nothing is done");
        return Ok(Exit::Done);
    }
    say(WARNING);
    say(&format!("{count} access providers:"));
    saved.kept.iter().for_each(|name| say(&format!("  {}", raito_core::text::escape(name))));
    saved.deleted.iter().for_each(|name| say(&format!("  {} (deleted)", raito_core::text::escape(name))));
    let mut code = of_saved(&saved);
    let session = Session::open(global, args.isolated, false)?;
    let result = send(&session, global, args, &source, &mut code).await;
    session.close(result)
}

async fn send(
    session: &Session,
    global: &Global,
    args: &ApplyAccessArgs,
    source: &Source,
    code: &mut raito_access::code::Code,
) -> Result<Exit, CliError> {
    {
        let opened = session.open_target(&args.target).await?;
        let run = opened.run();
        access::begin(&run).map_err(|failure| opened.failed(&failure))?;
        let seen = planning::see(&opened).await?;
        access::end(&run, Outcome::Completed).map_err(|failure| opened.failed(&failure))?;
        speak_for(code, &seen.catalogue).map_err(|masters| {
            let masters: Vec<String> = masters.iter().map(ToString::to_string).collect();
            let message = format!("the access controls of the file belong to several: {}", masters.join(", "));
            CliError::new(codes::USAGE, message).help("take those of one at a time, with --filter-access")
        })?;
    }
    let apply = ApplyArgs {
        plan: None,
        files: Vec::new(),
        format: Format::Raito,
        target: vec![args.target.clone()],
        yes: args.yes,
        state: None,
        resume: false,
        allow_revokes: args.allow_revokes,
        isolated: args.isolated,
    };
    apply::anew(global, &apply, std::slice::from_ref(source), code, session, apply::Ask::Sure).await
}
