//! Commands: one a file. Each gives what the program ends with, or the error that ends it.

mod access;
mod audit;
mod cloud;
mod completions;
mod configuration;
mod connector;
mod demo;
mod doctor;
mod init;
mod run;
mod schema;
mod validate;
mod who;

use std::process::ExitCode;

use clap::Parser as _;
use indicatif::MultiProgress;
use raito_core::limits;
use raito_core::text::escape;

use crate::args::access::Access;
use crate::args::{Cli, Command, Output};
use crate::codes;
use crate::error::CliError;
use crate::exit::Exit;
use crate::{logging, render};

/// Runs the program in a thread whose stack has a size of its own: how deep a file may nest does
/// not depend on the limits of whoever starts the program.
pub(crate) fn main() -> ExitCode {
    let thread = std::thread::Builder::new().name("main".into()).stack_size(limits::STACK_BYTES).spawn(run_command);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(exit)) => exit,
        // It has said what went wrong.
        Ok(Err(_)) => ExitCode::from(PANICKED),
        Err(error) => {
            render::say(&format!("raito cannot start a thread: {error}"));
            ExitCode::from(Exit::Failed.code())
        }
    }
}

/// What Rust ends a program with after a panic.
const PANICKED: u8 = 101;

/// Runs the command that was typed.
fn run_command() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; everything else is a mistake on the command line.
            if error.use_stderr() {
                // It repeats what was typed, as it was typed.
                let said = error.render().to_string();
                render::say(&said.trim_end().lines().map(escape).collect::<Vec<_>>().join("\n"));
                return end(Exit::Usage);
            }
            render::data_with(|_| error.print());
            return end(Exit::Done);
        }
    };
    let bars = MultiProgress::new();
    logging::set_up(&cli.global, &bars);
    let output = cli.global.output;
    let exit = dispatch(cli, &bars).unwrap_or_else(|error| {
        render::error::print(&error, output);
        error.code.exit
    });
    end(exit)
}

/// What the program ends with: a file error where standard output did not take everything.
fn end(exit: Exit) -> ExitCode {
    let unprinted = render::unprinted();
    if let Some(error) = &unprinted {
        render::say(&render::error::human(error));
    }
    let exits = unprinted.map(|error| error.code.exit);
    ExitCode::from(Exit::worst(exits.into_iter().chain([exit])).code())
}

fn dispatch(cli: Cli, bars: &MultiProgress) -> Result<Exit, CliError> {
    let global = &cli.global;
    let is_printed = match global.output {
        Output::Human | Output::Json => true,
        Output::Csv => match &cli.command {
            Command::Who(who) => who.explain.is_none(),
            Command::Access(access) => matches!(access, Access::Export(_)),
            _ => false,
        },
        Output::Markdown | Output::Sarif | Output::Github | Output::Gitlab => {
            matches!(cli.command, Command::Access(_))
        }
    };
    if !is_printed {
        let error = CliError::new(codes::USAGE, "this command prints nothing in that form");
        return Err(error.help("write --output json"));
    }
    match cli.command {
        Command::Run(args) => block_on(run::run(global, &args, bars)),
        Command::Demo(args) => block_on(demo::run(global, &args, bars)),
        Command::Who(args) => block_on(who::run(global, &args)),
        Command::Access(args) => access::run(global, &args),
        Command::ApplyAccess(args) => block_on(access::apply_access(global, &args)),
        Command::Init(args) => block_on(init::run(&args)),
        Command::Validate(args) => block_on(validate::run(global, &args)),
        Command::Connector(args) => block_on(connector::run(global, &args)),
        Command::Cloud(args) => block_on(cloud::run(global, &args)),
        Command::Audit(args) => audit::run(global, &args),
        Command::Schema(args) => Ok(schema::run(&args)),
        Command::Completions { shell } => Ok(completions::run(shell)),
        Command::Doctor => block_on(doctor::run(global)),
    }
}

/// Runs something on a runtime of its own.
fn block_on<T>(future: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(limits::STACK_BYTES).build();
    let runtime = runtime
        .map_err(|error| CliError::new(crate::codes::HOST, format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(future)
}
