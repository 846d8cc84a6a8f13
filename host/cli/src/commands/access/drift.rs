//! `raito access drift`

use std::collections::BTreeMap;
use std::path::Path;

use raito_access::adopt::{Adopted, adopt};
use raito_access::applied::AppliedTarget;
use raito_access::code::{Code, Source, read_code};
use raito_access::document::Spot;
use raito_access::drift::{Class, Compared, Difference, Drift, drift};
use raito_access::evaluate::{Question, evaluate};
use raito_access::finding::{Finding, Level};
use raito_access::plan::Refused;
use raito_config::Place;
use raito_core::exchange::Outcome;
use raito_core::marker::Master;
use raito_core::text::{Name, TargetName};
use raito_run::access;
use serde_json::json;

use super::planning::{self, Meant, Seen};
use super::session::Session;
use super::state::State;
use super::{apply, files, findings};
use crate::args::access::{ApplyArgs, DriftArgs, Format};
use crate::args::{Global, Output};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::{counted, data, error, say};

/// Says where targets are not as the files say, and who moved. Then makes the one like the other, where that is asked for.
pub(super) async fn run(global: &Global, args: &DriftArgs) -> Result<Exit, CliError> {
    if args.adopt && args.files.format != Format::Access {
        return Err(CliError::new(codes::USAGE, "files of the first raito access are not written")
            .help("convert them: raito access convert --from raito"));
    }
    let read = files::read(global, &args.files)?;
    let code = match &read.code {
        Ok(code) => code,
        Err(wrong) => {
            findings::mistakes(global.output, &read.sources, wrong);
            return Ok(Exit::Usage);
        }
    };
    let master = planning::master(code)?;
    let session = Session::open(global, args.isolated, !args.fix)?;
    let job = Job { global, args, read: &read, code, master, session: &session };
    let result = job.run().await;
    session.close(result)
}

/// Where what is compared is said.
struct Spots<'s> {
    of: &'s BTreeMap<Name, Spot>,
    /// Where the files speak of the target first.
    first: Option<Spot>,
}

/// A look at all targets.
struct Job<'j> {
    global: &'j Global,
    args: &'j DriftArgs,
    read: &'j files::Read,
    code: &'j Code,
    master: Master,
    session: &'j Session,
}

impl Job<'_> {
    async fn run(&self) -> Result<Exit, CliError> {
        let targets = planning::targets(self.code, &self.args.target)?;
        if self.args.adopt && targets.len() > 1 {
            // What is adopted from one changes the lines that the next one is compared with.
            return Err(CliError::new(codes::USAGE, "several targets cannot be adopted at once")
                .help("adopt them one after the other, with --target"));
        }
        let mut state = match &self.args.state {
            Some(place) => Some(State::open(place, self.session, &self.master, &targets).await?),
            None => None,
        };
        let looked = self.look(&targets, state.as_mut()).await;
        if let Some(state) = state {
            state.close().await;
        }
        let worst = Exit::worst(looked?);
        if self.args.fix && matches!(worst, Exit::Done | Exit::Changes) {
            let args = ApplyArgs {
                plan: None,
                files: self.args.files.paths.paths.clone(),
                format: self.args.files.format,
                target: self.args.target.clone(),
                yes: self.args.yes,
                state: self.args.state.clone(),
                resume: false,
                allow_revokes: self.args.allow_revokes,
                isolated: self.args.isolated,
            };
            let sources = &self.read.sources;
            return apply::anew(self.global, &args, sources, self.code, self.session, apply::Ask::Calls).await;
        }
        Ok(worst)
    }

    /// Looks at one target after the other. A state that cannot be read is told before anything is reached.
    async fn look(&self, targets: &[TargetName], mut state: Option<&mut State<'_>>) -> Result<Vec<Exit>, CliError> {
        let mut applied = Vec::new();
        for name in targets {
            applied.push(state.as_deref().map(|state| state.of(name)).transpose()?.flatten());
        }
        let mut exits = Vec::new();
        for (name, applied) in targets.iter().zip(applied) {
            if applied.is_none() && self.args.state.is_some() && !self.global.quiet {
                say(&format!("{name}: nothing is known of the last apply, so nobody can tell who moved"));
            }
            let opened = self.session.open_target(name).await?;
            let run = opened.run();
            access::begin(&run).map_err(|failure| opened.failed(&failure))?;
            let seen = planning::see(&opened).await?;
            access::end(&run, Outcome::Completed).map_err(|failure| opened.failed(&failure))?;
            exits.push(self.target(name, &seen, applied.as_ref(), state.as_deref_mut()).await?);
        }
        Ok(exits)
    }

    async fn target(
        &self,
        name: &TargetName,
        seen: &Seen,
        applied: Option<&AppliedTarget>,
        state: Option<&mut State<'_>>,
    ) -> Result<Exit, CliError> {
        if let Some(state) = applied.filter(|state| state.instance != seen.catalogue.description.instance_id) {
            let there = &seen.catalogue.description.instance_id;
            let message = format!("target {name}: the state is of {}, and the target is {there}", state.instance);
            return Err(CliError::new(codes::FILE, message).help("apply with --state to write a new one"));
        }
        let question = self.question(self.code, name, seen);
        let meant = Meant::of(&question);
        let sets = [meant.decision.sets.as_slice(), meant.observed.sets.as_slice()].concat();
        let owners = [meant.decision.owners.as_slice(), meant.observed.owners.as_slice()].concat();
        let found =
            drift(&question, &Compared { evaluation: &meant.evaluation, sets: &sets, owners: &owners, state: applied });
        let refused: Vec<Refused> = meant.refused();
        let spots = Spots { of: &meant.evaluation.spots, first: planning::first(self.code, name) };
        self.show(name, &found, &refused, &spots);
        if !found.problems.is_empty() {
            return Ok(Exit::Usage);
        }
        let mut exits = Vec::new();
        if !refused.is_empty() {
            exits.push(Exit::Failed);
        }
        if !found.differences.is_empty() {
            exits.push(match self.args.adopt {
                true => self.adopt(&question, seen, &found, state).await?,
                false => Exit::Changes,
            });
        }
        Ok(Exit::worst(exits))
    }

    fn question<'q>(&'q self, code: &'q Code, target: &'q TargetName, seen: &'q Seen) -> Question<'q> {
        let Seen { catalogue, protected } = seen;
        Question { code, target, catalogue, protected, master: &self.master, now_ms: self.session.now_ms() }
    }

    /// Writes what is there into the files. They are written where they are still without mistakes.
    async fn adopt(
        &self,
        question: &Question<'_>,
        seen: &Seen,
        found: &Drift,
        state: Option<&mut State<'_>>,
    ) -> Result<Exit, CliError> {
        let mut sources = self.read.sources.clone();
        let adopted = adopt(question, &sources, found);
        for (file, text) in &adopted.changed {
            sources[*file].text.clone_from(text);
        }
        let new: Vec<_> = adopted.new.iter().map(|(name, text)| (self.args.into.join(name), text)).collect();
        for (path, text) in &new {
            if path.exists() {
                let error = CliError::new(codes::FILE, format!("{} is there already", crate::files::shown(path)));
                return Err(error.help("write new files into another folder with --into"));
            }
            sources.push(Source { path: crate::files::shown(path), text: (*text).clone() });
        }
        let code = match read_code(&sources) {
            Ok(code) => code,
            Err(wrong) => {
                findings::mistakes(self.global.output, &sources, &wrong);
                let message = "the files would have mistakes, and nothing was written";
                return Err(CliError::new(codes::ACCESS_FILE, message));
            }
        };
        for file in adopted.changed.keys() {
            crate::files::replace(&self.read.paths[*file], sources[*file].text.as_bytes())?;
        }
        for (path, text) in new {
            crate::files::make_folder(path.parent().unwrap_or(Path::new(".")))?;
            crate::files::write_new(&path, text.as_bytes())?;
        }
        self.tell(&sources, &adopted);
        if let Some(state) = state {
            self.remember(state, &code, &sources, question.target, seen).await?;
        }
        Ok(if adopted.left.is_empty() { Exit::Done } else { Exit::Changes })
    }

    fn tell(&self, sources: &[Source], adopted: &Adopted) {
        let changed = adopted.changed.keys().map(|file| sources[*file].path.clone());
        let new = adopted.new.keys().map(|name| crate::files::shown(&self.args.into.join(name)));
        let paths: Vec<String> = changed.chain(new).collect();
        if self.global.output == Output::Json {
            let value =
                json!({ "v": 1, "event": "adopted", "settled": adopted.settled, "files": paths, "left": adopted.left });
            return data(&value.to_string());
        }
        paths.iter().for_each(|path| data(path));
        adopted.left.iter().for_each(|what| say(&format!("not adopted: {what}")));
    }

    /// Keeps the state up to date, where the target is as the files say now.
    async fn remember(
        &self,
        state: &mut State<'_>,
        code: &Code,
        sources: &[Source],
        target: &TargetName,
        seen: &Seen,
    ) -> Result<(), CliError> {
        let question = self.question(code, target, seen);
        let meant = Meant::of(&question);
        if meant.is_unclear() || !meant.decision.sets.is_empty() || !meant.decision.refused.is_empty() {
            return Ok(());
        }
        let applied = AppliedTarget::new(&question, &evaluate(&question), super::plan::digests(sources));
        state.keep(target, applied).await
    }

    fn show(&self, name: &TargetName, found: &Drift, refused: &[Refused], spots: &Spots<'_>) {
        let output = self.global.output;
        let problems = planning::located(&self.read.sources, &found.problems);
        let cannot =
            |refused: &Refused| format!("target {name}: {} cannot be compared: {}", refused.id, refused.reason);
        match output {
            Output::Human | Output::Csv => {
                self.human(name, found, refused);
                findings::print_some(output, &problems);
            }
            Output::Json => {
                for difference in &found.differences {
                    let (path, place) = self.place(difference);
                    let value = json!({
                        "v": 1,
                        "event": "drift",
                        "target": name,
                        "class": difference.class,
                        "id": difference.id,
                        "control": difference.control,
                        "what": difference.text,
                        "path": path,
                        "line": place.map(|place| place.line),
                    });
                    data(&value.to_string());
                }
                findings::print_some(output, &problems);
            }
            Output::Markdown | Output::Sarif | Output::Github | Output::Gitlab => {
                // They are one document, whatever there is to say.
                let mut all: Vec<Finding> =
                    found.differences.iter().map(|difference| self.finding(difference)).collect();
                all.extend(problems);
                all.extend(refused.iter().map(|refused| {
                    let spot = spots.of.get(&refused.id).copied().or(spots.first);
                    planning::error_at(&self.read.sources, spot, "cannot-be-compared", cannot(refused))
                }));
                findings::print(output, &all);
            }
        }
        for refused in refused {
            error::print(&CliError::new(codes::NOT_APPLIED, cannot(refused)), output);
        }
    }

    fn human(&self, name: &TargetName, found: &Drift, refused: &[Refused]) {
        match (found.differences.len(), refused.len()) {
            (0, 0) => return data(&format!("{name}: as the files say")),
            (differences, 0) => data(&format!("{name}: {}", counted(differences, "difference"))),
            (differences, left) => {
                data(&format!("{name}: {}, and {left} that cannot be compared", counted(differences, "difference")))
            }
        }
        for class in Class::ALL {
            let mut of = found.differences.iter().filter(|difference| difference.class == class).peekable();
            if of.peek().is_some() {
                data(&format!("  {}: {}", class.word(), class.meaning()));
            }
            for difference in of {
                let (path, place) = self.place(difference);
                let place = place.map(|place| format!("  {path}:{}", place.line)).unwrap_or_default();
                data(&format!("      {}: {}{place}", difference.control, difference.text));
            }
        }
    }

    fn place(&self, difference: &Difference) -> (String, Option<Place>) {
        let spot = difference.spot;
        (
            spot.map(|spot| planning::path(&self.read.sources, spot.file)).unwrap_or_default(),
            spot.map(|spot| spot.place),
        )
    }

    /// A difference as a finding. What no file says stands at the beginning of the first one.
    fn finding(&self, difference: &Difference) -> Finding {
        let (path, place) = self.place(difference);
        Finding {
            path: if place.is_some() { path } else { planning::path(&self.read.sources, 0) },
            place: place.unwrap_or(Place { line: 1, column: 1, length: 1 }),
            level: Level::Warning,
            rule: difference.class.word().to_owned(),
            message: format!("{}: {}: {}", difference.control, difference.text, difference.class.meaning()),
            help: None,
        }
    }
}
