//! `raito doctor`

use std::time::Instant;

use raito_sandbox::Engine;

use super::configuration;
use crate::args::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::data;

/// Says what of this machine raito can use, and what of its files is in order.
pub(super) fn run(global: &Global) -> Result<Exit, CliError> {
    let mut well = true;
    let mut line = |what: &str, state: Result<String, String>| {
        let (mark, text) = match state {
            Ok(text) => ("ok  ", text),
            Err(text) => {
                well = false;
                ("FAIL", text)
            }
        };
        data(&format!("{mark}  {what:<16}{text}"));
    };
    line("raito", Ok(env!("CARGO_PKG_VERSION").to_owned()));
    let began = Instant::now();
    let engine = Engine::new()
        .map(|_| format!("starts in {} ms", began.elapsed().as_millis()))
        .map_err(|error| error.to_string());
    line("runtime", engine);
    let roots = raito_broker::system_authorities();
    line(
        "authorities",
        if roots > 0 { Ok(format!("{roots} of the system")) } else { Err("none: install ca-certificates".to_owned()) },
    );
    match configuration::path(global) {
        Err(error) => line("configuration", Ok(format!("none ({})", error.message))),
        Ok(path) => {
            let loaded = configuration::load(global);
            let shown = crate::files::shown(&path);
            line(
                "configuration",
                loaded.as_ref().map(|_| shown).map_err(|error| format!("{}: run `raito validate`", error.message)),
            );
            if let Ok(loaded) = loaded {
                let state = configuration::state(global, &loaded.base);
                line("state", state.map(|state| crate::files::shown(state.path())).map_err(|error| error.message));
            }
        }
    }
    let ceiling = configuration::ceiling(global);
    line(
        "ceiling",
        ceiling
            .map(|(_, digest)| digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string()))
            .map_err(|error| error.message),
    );
    Ok(if well { Exit::Done } else { Exit::Failed })
}
