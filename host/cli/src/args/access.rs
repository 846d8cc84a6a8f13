//! What was typed behind `raito access`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use raito_access::pattern::Pattern;
use raito_core::text::TargetName;

use super::Isolation;

#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// Check files, without a target
    Validate(Files),
    /// Write files in the one usual way; comments and the order of keys stay
    Fmt {
        #[command(flatten)]
        files: Paths,
        /// Change nothing, and end with 1 where a file would change
        #[arg(long)]
        check: bool,
    },
    /// Print the JSON Schema of the files
    Schema,
    /// Say what would change, and for whom; nothing is sent
    Plan(PlanArgs),
    /// Carry out a plan, or make one and carry it out
    Apply(ApplyArgs),
    /// Write the access that exists as files
    Import(ImportArgs),
    /// Print the access that exists, as a table or as a snapshot
    Export(ExportArgs),
    /// Run the tests of the files against what would come of them
    Test(TestArgs),
    /// Say where a target is not as the files say, and who moved
    Drift(DriftArgs),
    /// List members whose time is over, and take them out of the files
    Expire(ExpireArgs),
    /// Print the file of another tool as access code
    Convert(ConvertArgs),
    /// Serve an editor over standard input and output: mistakes, completion, what a name means, where it is said
    Lsp(LspArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct LspArgs {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Take names of a target from a snapshot that `raito access export --output json` printed [default: the last read that a
    /// command kept in the state directory]
    #[arg(long, value_name = "TARGET=FILE", value_parser = snapshot)]
    pub(crate) snapshot: Vec<(TargetName, PathBuf)>,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyAccessArgs {
    /// The target
    #[arg(value_name = "TARGET")]
    pub(crate) target: TargetName,
    /// The file: a list of accessProviders, as YAML or JSON
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Only access providers whose whole name one of these regular expressions takes
    #[arg(long, value_name = "EXPRESSIONS", value_delimiter = ',')]
    pub(crate) filter_access: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Take this many permissions and members away although that is over the threshold; the exact number that was said
    #[arg(long, value_name = "N")]
    pub(crate) allow_revokes: Option<u64>,
    #[command(flatten)]
    pub(crate) isolated: Isolated,
}

#[derive(Debug, Args)]
pub(crate) struct DriftArgs {
    #[command(flatten)]
    pub(crate) files: Files,
    /// Only these targets
    #[arg(long, short, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) target: Vec<TargetName>,
    /// What `raito access apply --state` kept; without it nobody can tell who moved
    #[arg(long, value_name = "FILE|cloud")]
    pub(crate) state: Option<StatePlace>,
    /// Plan and apply, so that the target is as the files say
    #[arg(long, conflicts_with = "adopt")]
    pub(crate) fix: bool,
    /// Write what is there into the files
    #[arg(long)]
    pub(crate) adopt: bool,
    /// The folder for access controls that no file says yet
    #[arg(long, value_name = "FOLDER", default_value = "access", requires = "adopt")]
    pub(crate) into: PathBuf,
    /// Do not ask
    #[arg(long, short, requires = "fix")]
    pub(crate) yes: bool,
    /// Take this many permissions and members away although that is over the threshold; the exact number that was said
    #[arg(long, value_name = "N", requires = "fix")]
    pub(crate) allow_revokes: Option<u64>,
    #[command(flatten)]
    pub(crate) isolated: Isolated,
}

/// Where the last applied state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StatePlace {
    /// In a file.
    File(PathBuf),
    /// In the cloud that the configuration names.
    Cloud,
}

impl From<&str> for StatePlace {
    /// The word `cloud` means the cloud; a file of that name is `./cloud`.
    fn from(text: &str) -> Self {
        if text == "cloud" { Self::Cloud } else { Self::File(text.into()) }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExpireArgs {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Also those whose time ends within so many hours, days or weeks, such as 12h, 14d or 2w
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) within: Option<u64>,
    /// Take those whose time is over out of the files
    #[arg(long)]
    pub(crate) write: bool,
}

/// A time in milliseconds, from a number with its unit.
fn duration(text: &str) -> Result<u64, String> {
    const UNITS: [(char, u64); 3] = [('h', 1), ('d', 24), ('w', 7 * 24)];
    let wrong = || "write a number with h, d or w behind it, such as 14d".to_owned();
    let unit = text.chars().last().and_then(|last| UNITS.into_iter().find(|(letter, _)| *letter == last));
    let (_, hours) = unit.ok_or_else(wrong)?;
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(u64::from(number) * hours * 3_600_000)
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Which tool it is of
    #[arg(long, value_enum)]
    pub(crate) from: ConvertFrom,
    /// The target that it is about
    #[arg(long, value_name = "TARGET")]
    pub(crate) on: TargetName,
}

/// A tool whose files can be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConvertFrom {
    /// The first `raito access`
    Raito,
    /// Permifrost
    Permifrost,
    /// ldap2pg
    Ldap2pg,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) files: Files,
    /// Only these targets
    #[arg(long, short, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) target: Vec<TargetName>,
    /// Write the plan down, for `raito access apply`
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write the plan as Markdown as well, for the comment on a change
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// End with 3 where there is something to do
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
    /// Take this many permissions and members away although that is over the threshold; the exact number that was said
    #[arg(long, value_name = "N")]
    pub(crate) allow_revokes: Option<u64>,
    #[command(flatten)]
    pub(crate) isolated: Isolated,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The plan; without one, a new plan is made and shown
    #[arg(value_name = "PLAN")]
    pub(crate) plan: Option<PathBuf>,
    /// Files, and folders with *.yml and *.yaml [default: access.yml and access/ beside the configuration]
    #[arg(long = "files", value_name = "PATH")]
    pub(crate) files: Vec<PathBuf>,
    /// How the files are written
    #[arg(long, value_enum, default_value_t = Format::Access)]
    pub(crate) format: Format,
    /// Only these targets
    #[arg(long, short, value_name = "NAMES", value_delimiter = ',', conflicts_with = "plan")]
    pub(crate) target: Vec<TargetName>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Keep what was applied, for `raito access drift`: in a file, or with the word cloud in the cloud of the configuration
    #[arg(long, value_name = "FILE|cloud")]
    pub(crate) state: Option<StatePlace>,
    /// Go on with a plan of which some calls may have been sent before
    #[arg(long, requires = "plan")]
    pub(crate) resume: bool,
    /// Take this many permissions and members away although that is over the threshold; the exact number that was said
    #[arg(long, value_name = "N")]
    pub(crate) allow_revokes: Option<u64>,
    #[command(flatten)]
    pub(crate) isolated: Isolated,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The target
    #[arg(value_name = "TARGET")]
    pub(crate) target: TargetName,
    /// The folder to write into
    #[arg(long, value_name = "FOLDER", default_value = "access")]
    pub(crate) into: PathBuf,
    /// Only access controls with such names, such as R_*; the files then manage all of them, also later ones
    #[arg(long, value_name = "PATTERN")]
    pub(crate) names: Vec<Pattern>,
    /// What the repository is called at the target, such as corp/access; said once, it stands in the files
    #[arg(long, value_name = "NAME", default_value = "access")]
    pub(crate) repository: String,
    /// Write one selector where a role has the same permissions on all tables of a schema
    #[arg(long)]
    pub(crate) compact: bool,
    #[command(flatten)]
    pub(crate) isolated: Isolated,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The target
    #[arg(value_name = "TARGET")]
    pub(crate) target: TargetName,
    #[command(flatten)]
    pub(crate) isolated: Isolated,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    pub(crate) files: Files,
    /// Only these targets
    #[arg(long, short, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) target: Vec<TargetName>,
    /// Take a target from a snapshot that `raito access export --output json` printed, and reach nothing
    #[arg(long, value_name = "TARGET=FILE", value_parser = snapshot)]
    pub(crate) snapshot: Vec<(TargetName, PathBuf)>,
    /// Write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) isolated: Isolated,
}

fn snapshot(text: &str) -> Result<(TargetName, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("write it as TARGET=FILE")?;
    Ok((name.parse().map_err(|error| format!("{name}: {error}"))?, PathBuf::from(path)))
}

/// Where connectors run.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Isolated {
    /// Where connectors run: in a process each that the operating system confines, or in raito's own
    #[arg(long, value_enum, value_name = "WHERE", default_value_t)]
    pub(crate) isolation: Isolation,
}

/// Which files.
#[derive(Debug, Clone, Args)]
pub(crate) struct Paths {
    /// Files, and folders with *.yml and *.yaml [default: access.yml and access/ beside the configuration]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

/// Which files, and how they are written.
#[derive(Debug, Clone, Args)]
pub(crate) struct Files {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// How the files are written
    #[arg(long, value_enum, default_value_t = Format::Access)]
    pub(crate) format: Format,
}

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// As access code.
    Access,
    /// As the first `raito access` had them: a list of accessProviders, the source of every role R_*
    Raito,
}
