//! The ways to misbehave that are the same in every step.

use std::cell::Cell;

use raito_sdk::types::Value;
use raito_sdk::{Call, Context, Fault, FaultKind, Settings, fault, http, log, note, sql};

use crate::surroundings;

/// What is to go wrong in this step.
pub(crate) struct Scenario {
    name: String,
    step: String,
    begun: Cell<bool>,
}

impl Scenario {
    /// The scenario of a step: the one that the settings name, where they name this step or every one, and else none.
    pub(crate) fn of(context: &Context, step: &str) -> Self {
        let settings = Settings::new(context);
        let is_here = [step, "every"].contains(&settings.text("step"));
        let name = if is_here { settings.text("scenario") } else { "quiet" };
        Self { name: name.to_owned(), step: step.to_owned(), begun: Cell::new(false) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Does what the scenario says, as far as it is not about a record.
    pub(crate) fn play(&self) -> Result<(), Fault> {
        let is_first = !self.begun.replace(true);
        match self.name() {
            "trap" => panic!("on purpose"),
            "spin" => spin(),
            "memory" => memory(),
            "stack" => {
                std::hint::black_box(recurse(1));
            }
            "string" => drop(std::hint::black_box("x".repeat(1 << 30))),
            "look-around" => return Err(fault(FaultKind::Internal, surroundings::told())),
            "leave-a-mark" if is_first => surroundings::leave_a_mark(&self.step)?,
            "log-flood" => (0..5_000).for_each(|line| note(log::Level::Warn, &format!("line {line}"))),
            "log-escape" => note(log::Level::Warn, "\u{1b}[2Jgone\nE-forged: a line of its own"),
            "fault" => return Err(fault(FaultKind::Internal, "\u{1b}[31mred\u{1b}[0m")),
            "unknown-entry" => drop(Call::new("http.api", "everything").get()?),
            // It makes nothing of being refused.
            "refused-without-end" => (0..2_000).for_each(|_| drop(Call::new("http.api", "everything").get())),
            "unknown-slot" => drop(Call::new("http.other", "people").get()?),
            "long-argument" => drop(Call::new("http.api", "person").text("id", "x".repeat(65 * 1024)).get()?),
            "many-arguments" => {
                let call = Call::new("http.api", "person");
                drop((0..65).fold(call, |call, number| call.integer(&format!("a{number}"), number)).get()?);
            }
            "made-up-token" => {
                let token = Value::Captured("captured-1".into());
                drop(Call::new("http.api", "person").value("id", token).get()?);
            }
            "argument" => drop(Call::new("http.api", "people").text("limit", "1&all=true").get()?),
            "http-read" => drop(Call::new("http.api", "people").integer("limit", 1).get()?),
            "http-write" => {
                http::send(&Call::new("http.api", "create-role").text("name", "mine").build())?;
            }
            "sql-read" => drop(Call::new("sql.main", "here").query_one()?),
            "sql-write" => {
                let call = Call::new("sql.main", "grant")
                    .value("permission", Value::Keywords(vec!["SELECT".into()]))
                    .value("object", Value::Name(vec!["public".into(), "secrets".into()]))
                    .value("role", Value::Name(vec!["mallory".into()]));
                sql::execute(&[call.build()])?;
            }
            "sql-write-as-read" => drop(Call::new("sql.main", "grant").query_one()?),
            other => crate::egress::play(other)?,
        }
        Ok(())
    }
}

fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// Takes memory until there is none.
fn memory() {
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1_u8; 1024 * 1024]);
        std::hint::black_box(&taken);
    }
}

fn recurse(depth: u64) -> u64 {
    let frame = [depth; 64];
    if std::hint::black_box(depth) == 0 { 0 } else { recurse(std::hint::black_box(depth + 1)) + frame[1] }
}
