//! Errors as people get them: a code, what happened and where, and what to write or run next. Each error of the libraries
//! is mapped to one here, once.

use std::fmt;

use raito_config::{Excerpt, Holds, Mistake};
use raito_core::exchange::CloudError;
use raito_core::fault::{Fault, FaultKind, StepFault};
use raito_run::Failure;

use crate::codes::{self, Code};

/// An error that ends a command, or a target.
#[derive(Debug, Clone)]
pub(crate) struct CliError {
    pub(crate) code: Code,
    /// What happened, with where.
    pub(crate) message: String,
    /// What to write or run next.
    pub(crate) help: Vec<String>,
    /// Mistakes of a file.
    pub(crate) mistakes: Option<Box<Mistakes>>,
}

/// Mistakes of one file, with its text as people may see it.
#[derive(Debug, Clone)]
pub(crate) struct Mistakes {
    pub(crate) file: String,
    pub(crate) excerpt: Excerpt,
    pub(crate) list: Vec<Mistake>,
}

impl CliError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: Vec::new(), mistakes: None }
    }

    /// The same with something to write or run next.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The same, seen from a place: a target, a step.
    #[must_use]
    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Mistakes of a file with this text, which are shown without what may be secret in it.
    pub(crate) fn mistakes(file: String, text: &str, holds: Holds, list: Vec<Mistake>) -> Self {
        let count = list.len();
        let message = if count == 1 { format!("{file} has a mistake") } else { format!("{file} has {count} mistakes") };
        Self {
            mistakes: Some(Box::new(Mistakes { file, excerpt: Excerpt::new(text, holds), list })),
            ..Self::new(codes::CONFIGURATION, message)
        }
    }
}

impl From<&Fault> for CliError {
    fn from(fault: &Fault) -> Self {
        let code = match fault.kind {
            FaultKind::InvalidSetting => codes::TARGET_SETTING,
            FaultKind::Unauthorized => codes::TARGET_UNAUTHORIZED,
            FaultKind::Unavailable => codes::TARGET_UNAVAILABLE,
            FaultKind::Denied => codes::DENIED,
            FaultKind::Incomplete => codes::TARGET_INCOMPLETE,
            FaultKind::Conflict => codes::TARGET_CONFLICT,
            FaultKind::Internal => codes::CONNECTOR_FAULT,
        };
        Self::new(code, fault.message.to_string())
    }
}

impl From<&StepFault> for CliError {
    fn from(fault: &StepFault) -> Self {
        let code = match fault {
            StepFault::Fault(fault) => return fault.into(),
            StepFault::Trap { .. } => codes::CONNECTOR_TRAP,
            StepFault::Limit(_) => codes::CONNECTOR_LIMIT,
            StepFault::BadRecord { .. } => codes::BAD_RECORD,
            StepFault::Leak(_) => {
                return Self::new(codes::SECRET_LEAK, fault.to_string())
                    .help("find out why it is there, and change the secret: whoever wrote it there knows it");
            }
            StepFault::Host(_) => codes::HOST,
            StepFault::State(_) => codes::STATE,
            StepFault::Interrupted => codes::INTERRUPTED,
        };
        Self::new(code, fault.to_string())
    }
}

impl From<&CloudError> for CliError {
    fn from(error: &CloudError) -> Self {
        let code = match error {
            CloudError::Unreachable(_) => codes::CLOUD_UNREACHABLE,
            CloudError::Unauthorized(_) => codes::CLOUD_UNAUTHORIZED,
            CloudError::Refused(_) => codes::CLOUD_REFUSED,
            CloudError::Failed(_) => codes::CLOUD_FAILED,
            CloudError::NoRoom(_) => codes::STATE,
            CloudError::OverThreshold(over) if over.by_cloud => {
                let help = format!(
                    "if that is meant, somebody confirms it in the cloud, with another token that has the scope `removals`: \
                     `raito cloud post /sources/NAME/removals FILE`, where FILE holds {{\"records\": {0}}}; then run again with --allow-removals {0}",
                    over.total
                );
                return Self::new(codes::OVER_THRESHOLD, over.to_string()).help(help);
            }
            CloudError::OverThreshold(over) => {
                let help = format!("if that is meant, run again with --allow-removals {}", over.total);
                return Self::new(codes::OVER_THRESHOLD, over.to_string()).help(help);
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<&Failure> for CliError {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Step(fault) => fault.into(),
            Failure::Cloud(error) => error.into(),
            Failure::Ledger(error) => Self::new(codes::AUDIT, error.to_string()),
            Failure::OverThreshold(over) => Self::new(codes::OVER_THRESHOLD, over.to_string())
                .help(format!("if that is meant, run again with --allow-revokes {}", over.total)),
            Failure::FirstApply { .. } => Self::new(codes::FIRST_APPLY, failure.to_string())
                .help("read the plan, and run again with --apply-first"),
        }
    }
}
