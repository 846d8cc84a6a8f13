//! What a guest asks of the broker and what it gets: plain values that can cross a process boundary.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::limits;

/// A value for a placeholder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// Nothing.
    Null,
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Several texts.
    Texts(Vec<String>),
    /// An identifier or a path of them.
    Name(Vec<String>),
    /// Words out of a list.
    Keywords(Vec<String>),
    /// Several identifiers or paths.
    Names(Vec<Vec<String>>),
    /// Repetitions of a template.
    Items(Vec<Vec<(String, String)>>),
    /// A result that the host captured from an earlier write call.
    Captured(String),
    /// Free JSON or free SQL.
    Free(String),
}

impl Value {
    /// The case's word in the contract.
    pub fn case(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => "text",
            Self::Integer(_) => "integer",
            Self::Boolean(_) => "boolean",
            Self::Texts(_) => "texts",
            Self::Name(_) => "name",
            Self::Keywords(_) => "keywords",
            Self::Names(_) => "names",
            Self::Items(_) => "items",
            Self::Captured(_) => "captured",
            Self::Free(_) => "free",
        }
    }
}

/// One argument of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// The placeholder's name.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// One use of the vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The slot.
    pub slot: String,
    /// The entry.
    pub entry: String,
    /// One of the slot's places.
    pub at: Option<String>,
    /// The arguments.
    pub arguments: Vec<Argument>,
}

/// How much a guest's log message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// For who writes the connector.
    Debug,
    /// What happens.
    Info,
    /// Something is not as expected.
    Warn,
    /// Something failed.
    Error,
}

/// What a guest asks of the broker. Streams are handles, bounded for each step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Send a read route and open its body.
    HttpFetch(Call),
    /// Send routes at the same time and read their answers whole.
    HttpSend(Vec<Call>),
    /// Run a read statement and open its rows.
    SqlQuery(Call),
    /// Run write statements in one transaction.
    SqlExecute(Vec<Call>),
    /// Run a search and open its entries.
    LdapSearch(Call),
    /// Change entries.
    LdapModify(Vec<Call>),
    /// The next piece of an open body, of at most this many bytes; the next rows or entries, where the number is unused.
    Next(u32, u32),
    /// Close what is open.
    Close(u32),
    /// Read a value of the connector's state.
    StateGet(String),
    /// Leave a value for the next run.
    StateSet(String, #[serde(with = "serde_bytes")] Vec<u8>),
    /// Write a message.
    Log(LogLevel, String, Vec<(String, String)>),
    /// Read the clock.
    Now,
}

impl Request {
    /// Whether it keeps to the bounds of a call. A broker asks this first, so that a refusal goes on record.
    ///
    /// # Errors
    /// A refusal that says which bound it breaks.
    // Checked by whoever answers, because a refusal goes on record there.
    pub fn check(&self) -> Result<(), Fault> {
        let calls = self.calls();
        match self {
            Self::SqlExecute(_) => check_transaction(calls)?,
            _ if calls.len() > limits::CALL_BATCH => {
                return Err(Fault::denied(format!("at most {} calls at once", limits::CALL_BATCH)));
            }
            _ => {}
        }
        calls.iter().try_for_each(Call::check)
    }

    /// The calls of entries that it asks for; none where it asks for something else.
    pub fn calls(&self) -> &[Call] {
        match self {
            Self::HttpFetch(call) | Self::SqlQuery(call) | Self::LdapSearch(call) => std::slice::from_ref(call),
            Self::HttpSend(calls) | Self::SqlExecute(calls) | Self::LdapModify(calls) => calls,
            Self::Next(..) | Self::Close(_) | Self::StateGet(_) | Self::StateSet(..) | Self::Log(..) | Self::Now => &[],
        }
    }
}

/// Whether the statements of one transaction keep to its bounds.
fn check_transaction(calls: &[Call]) -> Result<(), Fault> {
    let too_much =
        |what: String| Err(Fault::denied(format!("one transaction has at most {what}: change less at once")));
    if calls.len() > limits::TRANSACTION_STATEMENTS {
        return too_much(format!("{} statements, and these are {}", limits::TRANSACTION_STATEMENTS, calls.len()));
    }
    let bytes: usize = calls.iter().flat_map(|call| &call.arguments).map(|argument| argument.value.bytes()).sum();
    if bytes > limits::TRANSACTION_BYTES {
        return too_much(format!("{} bytes of arguments, and these are {bytes}", limits::TRANSACTION_BYTES));
    }
    Ok(())
}

impl Call {
    fn check(&self) -> Result<(), Fault> {
        if self.arguments.len() > limits::CALL_ARGUMENTS {
            return Err(Fault::denied(format!("a call has at most {} arguments", limits::CALL_ARGUMENTS)));
        }
        let names = self.arguments.iter().map(|argument| ("argument's name", &argument.name));
        let names = names.chain([("slot", &self.slot), ("entry", &self.entry)]);
        for (what, name) in names.chain(self.at.iter().map(|at| ("place", at))) {
            if name.len() > limits::NAME_BYTES {
                return Err(Fault::denied(format!("the {what} is too long")));
            }
        }
        self.arguments.iter().try_for_each(|argument| argument.value.check())
    }
}

impl Value {
    /// Bytes of its texts.
    fn bytes(&self) -> usize {
        let all = |texts: &[String]| texts.iter().map(String::len).sum();
        match self {
            Self::Null | Self::Integer(_) | Self::Boolean(_) => 0,
            Self::Text(text) | Self::Captured(text) | Self::Free(text) => text.len(),
            Self::Texts(texts) | Self::Name(texts) | Self::Keywords(texts) => all(texts),
            Self::Names(paths) => paths.iter().map(|path| all(path)).sum(),
            Self::Items(items) => items.iter().flatten().map(|(key, text)| key.len() + text.len()).sum(),
        }
    }

    fn check(&self) -> Result<(), Fault> {
        let longest = |texts: &[String]| texts.iter().map(String::len).max().unwrap_or(0);
        let (items, longest) = match self {
            Self::Null | Self::Integer(_) | Self::Boolean(_) => (1, 0),
            Self::Text(text) | Self::Captured(text) | Self::Free(text) => (1, text.len()),
            Self::Texts(texts) | Self::Name(texts) | Self::Keywords(texts) => (texts.len(), longest(texts)),
            Self::Names(paths) => {
                (paths.iter().map(Vec::len).sum(), paths.iter().map(|path| longest(path)).max().unwrap_or(0))
            }
            Self::Items(items) => {
                let longest = items.iter().flatten().map(|(key, text)| key.len().max(text.len())).max();
                (items.iter().map(Vec::len).sum(), longest.unwrap_or(0))
            }
        };
        if longest > limits::ARGUMENT_BYTES || items > limits::ARGUMENT_ITEMS * 8 {
            return Err(Fault::denied(format!("an argument has texts of at most {} bytes", limits::ARGUMENT_BYTES)));
        }
        Ok(())
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, empty where it is read in pieces.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// What became of a route: sent, or recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpDone {
    /// The answer; none in a plan.
    pub reply: Option<HttpReply>,
    /// What the route declares under `returns`, as tokens.
    pub captures: Vec<(String, String)>,
}

/// What became of a write statement or of a directory change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was carried out and touched this many rows.
    Executed(u64),
    /// It was recorded.
    Planned,
}

/// One attribute of a directory entry.
pub type LdapAttribute = (String, Vec<Vec<u8>>);

/// What the broker answers. The case follows from the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// A fetched answer without its body, and the handle of the body.
    Fetched(HttpReply, u32),
    /// Answers in the order of the calls.
    Sent(Vec<Result<HttpDone, Fault>>),
    /// The columns of a result and its handle.
    Opened(Vec<String>, u32),
    /// What became of the statements, in order.
    Executed(Vec<Outcome>),
    /// What became of the changes, up to the first fault.
    Modified(Vec<Result<Outcome, Fault>>),
    /// A piece of a body.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Rows.
    Rows(Vec<Vec<Option<String>>>),
    /// Directory entries.
    Entries(Vec<(String, Vec<LdapAttribute>)>),
    /// There is no more.
    End,
    /// A value of the state.
    State(#[serde(with = "serde_bytes")] Option<Vec<u8>>),
    /// Done, with nothing to say.
    Done,
    /// Milliseconds since 1970.
    Now(u64),
    /// It did not succeed.
    Fault(Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(value: Value) -> Call {
        let arguments = vec![Argument { name: "a".into(), value }];
        Call { slot: "http.api".into(), entry: "people".into(), at: None, arguments }
    }

    #[test]
    fn a_call_within_its_bounds_is_taken() {
        assert_eq!(Request::HttpFetch(call(Value::Text("x".repeat(limits::ARGUMENT_BYTES)))).check(), Ok(()));
        assert_eq!(Request::HttpSend(vec![call(Value::Null); limits::CALL_BATCH]).check(), Ok(()));
    }

    #[test]
    fn what_is_longer_is_refused_wherever_it_stands() {
        let long = "x".repeat(limits::ARGUMENT_BYTES + 1);
        for value in [
            Value::Free(long.clone()),
            Value::Texts(vec![String::new(), long.clone()]),
            Value::Names(vec![vec![long.clone()]]),
            Value::Items(vec![vec![("k".into(), long)]]),
            Value::Texts(vec![String::new(); limits::ARGUMENT_ITEMS * 8 + 1]),
        ] {
            assert!(Request::SqlQuery(call(value.clone())).check().is_err(), "{}", value.case());
            assert!(Request::SqlExecute(vec![call(Value::Null), call(value)]).check().is_err());
        }
        let name = "x".repeat(limits::NAME_BYTES + 1);
        assert!(Request::LdapModify(vec![call(Value::Null); limits::CALL_BATCH + 1]).check().is_err());
        assert!(Request::LdapSearch(Call { slot: name.clone(), ..call(Value::Null) }).check().is_err());
        assert!(Request::LdapSearch(Call { at: Some(name), ..call(Value::Null) }).check().is_err());
        assert!(Request::HttpSend(vec![call(Value::Null); limits::CALL_BATCH + 1]).check().is_err());
        let arguments = vec![call(Value::Null).arguments.remove(0); limits::CALL_ARGUMENTS + 1];
        assert!(Request::HttpFetch(Call { arguments, ..call(Value::Null) }).check().is_err());
    }
    #[test]
    fn a_transaction_has_bounds_of_its_own() {
        let most = vec![call(Value::Null); limits::TRANSACTION_STATEMENTS];
        assert_eq!(Request::SqlExecute(most.clone()).check(), Ok(()));
        let more = [most, vec![call(Value::Null)]].concat();
        let refused = Request::SqlExecute(more).check().expect_err("one too many");
        assert!(refused.message.as_str().contains("10000 statements, and these are 10001"), "{}", refused.message);

        let longest = call(Value::Names(vec![vec!["x".repeat(limits::ARGUMENT_BYTES / 2); 2]]));
        let fitting = vec![longest.clone(); limits::TRANSACTION_BYTES / limits::ARGUMENT_BYTES];
        assert_eq!(Request::SqlExecute(fitting.clone()).check(), Ok(()));
        let refused = Request::SqlExecute([fitting, vec![longest]].concat()).check().expect_err("too many bytes");
        assert!(refused.message.as_str().contains("bytes of arguments"), "{}", refused.message);
    }
}
