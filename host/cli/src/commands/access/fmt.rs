//! `raito access fmt`

use raito_access::format::format_text;

use super::files;
use crate::args::Global;
use crate::args::access::Paths;
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::{counted, data, error, say};

/// Writes files in the one usual way, or says which are not.
pub(super) fn run(global: &Global, paths: &Paths, check: bool) -> Result<Exit, CliError> {
    let mut exits = Vec::new();
    let mut changed = 0_usize;
    for (path, source) in files::sources(global, paths)? {
        match format_text(&source.text) {
            Ok(text) if text == source.text => {}
            Ok(text) => {
                changed += 1;
                data(&source.path);
                if check {
                    exits.push(Exit::Failed);
                } else {
                    crate::files::replace(&path, text.as_bytes())?;
                }
            }
            Err(wrong) => {
                let wrong = CliError::new(codes::ACCESS_FILE, format!("{}: {wrong}", source.path));
                say(&error::human(&wrong));
                exits.push(wrong.code.exit);
            }
        }
    }
    if check && changed > 0 && !global.quiet {
        let are = if changed == 1 { "is" } else { "are" };
        say(&format!("{} {are} written otherwise: run `raito access fmt`", counted(changed, "file")));
    }
    Ok(Exit::worst(exits))
}
