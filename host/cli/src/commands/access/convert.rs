//! `raito access convert`

use raito_access::code::FileMistakes;
use raito_access::convert::{From, convert};

use super::{files, findings};
use crate::args::Global;
use crate::args::access::{ConvertArgs, ConvertFrom, Paths};
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::{data, say};

/// Prints the file of another tool as access code, and says what has no place in it.
pub(super) fn run(global: &Global, args: &ConvertArgs) -> Result<Exit, CliError> {
    let paths = Paths { paths: vec![args.file.clone()] };
    let sources: Vec<_> = files::sources(global, &paths)?.into_iter().map(|(_, source)| source).collect();
    let Some(source) = sources.first() else { return Ok(Exit::Done) };
    let from = match args.from {
        ConvertFrom::Raito => From::Raito,
        ConvertFrom::Permifrost => From::Permifrost,
        ConvertFrom::Ldap2pg => From::Ldap2pg,
    };
    match convert(&source.text, from, &args.on) {
        Ok(converted) => {
            data(converted.text.trim_end());
            for (spot, what) in &converted.left {
                say(&format!("{}:{}: left out: {what}", source.path, spot.place.line));
            }
            Ok(Exit::Done)
        }
        Err(mistakes) => {
            findings::mistakes(global.output, &sources, &[FileMistakes { file: 0, mistakes }]);
            Ok(Exit::Usage)
        }
    }
}
