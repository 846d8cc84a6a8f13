//! What was typed.

pub(crate) mod access;

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use raito_audit::PublicKey;
use raito_core::limits;
use raito_core::text::TargetName;

use crate::env;

/// Synchronises data sources and identity stores with a control plane, through sandboxed connectors.
#[derive(Debug, Parser)]
#[command(name = "raito", version, arg_required_else_help = true, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The configuration file [default: raito.yml here, then ~/.raito/raito.yml]
    #[arg(long, global = true, value_name = "FILE", env = env::CONFIG_FILE, help_heading = "Global options")]
    pub(crate) config_file: Option<PathBuf>,
    /// Where state is kept: embedded cloud, audit log, connectors' state [default: .raito beside the configuration]
    #[arg(long, global = true, value_name = "FOLDER", env = env::STATE_DIR, help_heading = "Global options")]
    pub(crate) state_dir: Option<PathBuf>,
    /// The operator's ceiling [default: /etc/raito/ceiling.yml where there is one]
    #[arg(long, global = true, value_name = "FILE", env = env::CEILING, help_heading = "Global options")]
    pub(crate) ceiling: Option<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Output::Human, help_heading = "Global options")]
    pub(crate) output: Output,
    /// Print results and errors only
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// Print more: connectors' messages, then also what the host does
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
    /// Comma-separated values (RFC 4180), of `raito who` and `raito access export`.
    Csv,
    /// A comment on a change, of `raito access`.
    Markdown,
    /// A SARIF 2.1.0 log, of `raito access`.
    Sarif,
    /// Workflow commands of GitHub, of `raito access`.
    Github,
    /// A code quality report of GitLab, of `raito access`.
    Gitlab,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Synchronise targets with the cloud
    Run(Run),
    /// Show everything on a demo warehouse: five steps, a change, and the record of it
    Demo(Demo),
    /// Say who can really do what, and why
    Who(Who),
    /// Keep in files who may do what: check, plan and apply them
    #[command(subcommand)]
    Access(access::Access),
    /// Send a saved access file to a target again, without a cloud: for when nothing else is left
    ApplyAccess(access::ApplyAccessArgs),
    /// Write a commented raito.yml
    Init(Init),
    /// Check the configuration against its connectors, without running anything
    Validate(Validate),
    /// Look into connectors
    #[command(subcommand)]
    Connector(Connector),
    /// Serve or ask the embedded cloud
    #[command(subcommand)]
    Cloud(Cloud),
    /// Read or verify the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Print the JSON Schema of a file
    Schema(Schema),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Say what of this machine raito can use
    Doctor,
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Run {
    /// Run only these targets
    #[arg(long, short = 't', value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only_targets: Vec<TargetName>,
    /// Leave out step 1, identities
    #[arg(long)]
    pub(crate) skip_identity_store_sync: bool,
    /// Leave out step 2, metadata
    #[arg(long)]
    pub(crate) skip_data_source_sync: bool,
    /// Leave out steps 3 and 4, access controls
    #[arg(long)]
    pub(crate) skip_data_access_sync: bool,
    /// Leave out step 5, usage
    #[arg(long)]
    pub(crate) skip_data_usage_sync: bool,
    /// Read everything and change nothing, neither at the target nor in the cloud; print what step 4 would send
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Targets at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(limits::PARALLEL_TARGETS)))]
    pub(crate) parallel: u16,
    /// Remove this many records although that is over the threshold of the target; the exact number
    /// that was said. A cloud other than the embedded one has thresholds of its own, which somebody
    /// confirms there
    #[arg(long, value_name = "N")]
    pub(crate) allow_removals: Option<u64>,
    /// Take this many permissions and members away at the target although that is over the threshold; the exact number that
    /// was said
    #[arg(long, value_name = "N")]
    pub(crate) allow_revokes: Option<u64>,
    /// Change a target that was never changed before; without this, its first plan is only shown
    #[arg(long)]
    pub(crate) apply_first: bool,
    /// Write what each target answers while it is read to a scenario in this folder, for `raito connector test`. It holds
    /// what the target tells about its people and data
    #[arg(long, value_name = "FOLDER")]
    pub(crate) record: Option<PathBuf>,
    /// Where connectors run: in a process each that the operating system confines, or in raito's own
    #[arg(long, value_enum, value_name = "WHERE", default_value_t)]
    pub(crate) isolation: Isolation,
}

/// Where connectors are compiled and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Isolation {
    /// In a process each, which holds no secret, no socket and no file. Linux only.
    Process,
    /// In raito's own process, kept apart by the runtime alone.
    InProcess,
}

impl Default for Isolation {
    fn default() -> Self {
        if cfg!(target_os = "linux") { Self::Process } else { Self::InProcess }
    }
}

impl Isolation {
    /// Its word, as people write it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::InProcess => "in-process",
        }
    }
}

/// Tables of the demo's warehouse, which holds them in memory: as many as the largest catalogue that was measured has grants.
const TABLES: u64 = 1_000_000;
/// The end of the year 9999, after which times have no usual form (RFC 3339).
const LAST_MS: u64 = 253_402_300_799_999;

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the demo keeps its configuration and state [default: a folder that is removed in the end]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
    /// The demo connector
    #[arg(long, value_name = "FILE", default_value = "target/connectors/demo.wasm")]
    pub(crate) connector: PathBuf,
    /// Only serve the warehouse, until interrupted
    #[arg(long)]
    pub(crate) serve: bool,
    /// The port of the warehouse; 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    /// The seed of everything in the warehouse
    #[arg(long, value_name = "N", default_value_t = 20_260_131)]
    pub(crate) seed: u64,
    /// When its usage log ends, in milliseconds since 1970 [default: now]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=LAST_MS))]
    pub(crate) now: Option<u64>,
    /// How many tables there are
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = RangedU64ValueParser::<usize>::new().range(1..=TABLES))]
    pub(crate) tables: usize,
    /// Ways in which the warehouse misbehaves: too-many-requests, truncated-page, duplicate-id, shrinking-page
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) fault: Vec<raito_warehouse::Fault>,
}

#[derive(Debug, Args)]
pub(crate) struct Who {
    /// The object: its path with dots, such as sales.orders, with its kind before it where several have that path
    #[arg(required_unless_present_any = ["user", "explain"], conflicts_with_all = ["user", "explain"])]
    pub(crate) object: Option<String>,
    /// What this user holds, everywhere
    #[arg(long, value_name = "USER", conflicts_with = "explain")]
    pub(crate) user: Option<String>,
    /// Why a user holds a permission on an object, or what is missing
    #[arg(long, num_args = 3, value_names = ["USER", "OBJECT", "PERMISSION"])]
    pub(crate) explain: Option<Vec<String>>,
    /// The source, which need not be named where there is one
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Only this permission, or all that count as read, write or admin
    #[arg(long, value_name = "PERMISSION")]
    pub(crate) permission: Option<String>,
    /// Only what is held in this way
    #[arg(long, value_parser = ["active", "assumable", "obtainable"])]
    pub(crate) how: Option<String>,
    /// As it was at this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) as_of: Option<String>,
    /// How many answers at most
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) limit: usize,
    /// End with 1 where something was not read that could change the answer, or is only named and
    /// defined by no record
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Also log in to each granted database, and report what a run would find there; reads and changes nothing
    #[arg(long)]
    pub(crate) connect: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Write a target for this connector, with its settings and what it asks for
    #[arg(long, value_name = "FILE")]
    pub(crate) connector: Option<PathBuf>,
    /// Where to write
    #[arg(default_value = "raito.yml", value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Connector {
    /// Show what a connector asks for, without running it
    Inspect {
        /// The .wasm file
        file: PathBuf,
        /// Print the manifest as it stands in the file
        #[arg(long)]
        manifest: bool,
    },
    /// List the connectors of the configuration
    List,
    /// Check that a connector keeps the contract, against recorded answers and everything that can go wrong with them
    Test {
        /// The .wasm file
        file: PathBuf,
        /// What a target answered: a file, or a folder with several, as `raito run --record` writes them
        #[arg(long, value_name = "FILE|FOLDER", required = true)]
        scenario: Vec<PathBuf>,
    },
    /// Append a manifest to a component
    Pack {
        /// The component
        component: PathBuf,
        /// The manifest, connector.toml
        manifest: PathBuf,
        /// Where to write the connector
        #[arg(long, short, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cloud {
    /// Serve the embedded cloud on a port
    Serve {
        /// The address; other machines reach only what is not loopback
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7400")]
        listen: std::net::SocketAddr,
        /// Listen beyond this machine although nothing encrypts the connection; something in front of it must
        #[arg(long)]
        behind_proxy: bool,
    },
    /// Print everything that the cloud holds, one JSON value a line
    Export {
        /// Print only the digest of it
        #[arg(long)]
        digest: bool,
    },
    /// Ask the API, such as /sources
    Get {
        /// The path below /api/v1
        path: String,
    },
    /// Send JSON to the API, such as a new access control to /sources/NAME/internal-access-controls
    Post {
        /// The path below /api/v1
        path: String,
        /// The file with the JSON; none where there is nothing to say
        file: Option<PathBuf>,
        /// The version of it that was read
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
    /// Put JSON in place of what the API has, such as "user-name" at /links/ONE/OTHER
    Put {
        /// The path below /api/v1
        path: String,
        /// The file with the JSON
        file: PathBuf,
        /// The version of it that was read
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
    /// Take something away, such as /tokens/NAME
    Delete {
        /// The path below /api/v1
        path: String,
        /// The version of it that was read
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
    /// Make a token for the API
    Token {
        /// What it is for
        name: String,
        /// What it may do
        #[arg(long, value_name = "SCOPES", value_delimiter = ',', default_value = "read")]
        scope: Vec<raito_cloud::Scope>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Print the events
    Show {
        /// Only of this run
        #[arg(long)]
        run: Option<String>,
        /// Only about this target
        #[arg(long)]
        target: Option<String>,
        /// Only of this kind
        #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(raito_core::event::KINDS))]
        kind: Option<String>,
    },
    /// Check that the log is what was written: by its chain, by its signed checkpoints, and by anchors kept elsewhere
    Verify(Verify),
    /// Prove a part of the log to somebody who does not have it: a line, or that it only grew
    Prove(Prove),
    /// Print the newest signed checkpoint: keep it elsewhere, as an anchor
    Checkpoint {
        /// Print all of them, the oldest first
        #[arg(long)]
        all: bool,
    },
    /// Print the public key of the log, which its checkpoints are verified with
    Key,
}

#[derive(Debug, Default, Args)]
pub(crate) struct Verify {
    /// A copy of the log's folder [default: the one in the state directory]
    pub(crate) folder: Option<PathBuf>,
    /// What the log was, as it was kept elsewhere: a file with signed checkpoints, or one as text, or a root as runs print it
    #[arg(long, value_name = "FILE|TEXT")]
    pub(crate) anchor: Vec<String>,
    /// The public key that signed it [default: the one beside the log, which then is believed]
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<PublicKey>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["seq", "since"]))]
pub(crate) struct Prove {
    /// That the line with this number stands in the log
    #[arg(long, value_name = "N")]
    pub(crate) seq: Option<u64>,
    /// That the log only grew since it had so many lines
    #[arg(long, value_name = "SIZE")]
    pub(crate) since: Option<u64>,
    /// Prove it by the checkpoint of so many lines [default: the newest]
    #[arg(long, value_name = "SIZE")]
    pub(crate) to: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Which file
    #[arg(value_enum, default_value_t = SchemaOf::Configuration)]
    pub(crate) file: SchemaOf,
}

/// A file with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// raito.yml
    Configuration,
    /// ceiling.yml
    Ceiling,
}
