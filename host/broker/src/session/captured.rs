//! Captured values: tokens that guests pass around, and what the target gave for them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use raito_core::call::{Argument, Call, Value};
use raito_core::fault::Fault;

/// What a token stands for.
struct Given {
    value: Option<String>,
    set: usize,
}

/// Tokens of one step, each with its value once the target gave it, and the change-set that it was given for.
#[derive(Default)]
pub(super) struct Captured(Mutex<HashMap<String, Given>>);

impl Captured {
    fn locked<T>(&self, act: impl FnOnce(&mut HashMap<String, Given>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A token for a value; in a plan there is no value.
    pub(super) fn keep(&self, value: Option<String>, set: usize) -> String {
        self.locked(|known| {
            let token = format!("captured-{}", known.len() + 1);
            known.insert(token.clone(), Given { value, set });
            token
        })
    }

    /// The change-set for which a token was given.
    pub(super) fn set_of(&self, token: &str) -> Option<usize> {
        self.locked(|known| known.get(token).map(|given| given.set))
    }

    /// The value that the target gave for a token.
    pub(super) fn value(&self, token: &str) -> Option<String> {
        self.locked(|known| known.get(token).and_then(|given| given.value.clone()))
    }

    /// The call with values instead of tokens. `is_name` says which placeholders take identifiers. In a plan the token
    /// stands for the value.
    pub(super) fn put_in(&self, call: &Call, is_name: impl Fn(&str) -> bool) -> Result<Vec<Argument>, Fault> {
        let argument = |argument: &Argument| {
            let Value::Captured(token) = &argument.value else { return Ok(argument.clone()) };
            let known = self.locked(|known| known.get(token).map(|given| given.value.clone()));
            let value =
                known.ok_or_else(|| Fault::denied(format!("argument {}: no such captured value", argument.name)))?;
            let text = value.unwrap_or_else(|| token.clone());
            let value = if is_name(&argument.name) { Value::Name(vec![text]) } else { Value::Text(text) };
            Ok(Argument { name: argument.name.clone(), value })
        };
        call.arguments.iter().map(argument).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_for_what_the_target_gave() {
        let captured = Captured::default();
        let sent = captured.keep(Some("r061".into()), 0);
        let planned = captured.keep(None, 1);
        let call = |token: &str| Call {
            slot: "http.api".into(),
            entry: "grant".into(),
            at: None,
            arguments: vec![Argument { name: "role".into(), value: Value::Captured(token.into()) }],
        };
        let put_in = |token: &str| captured.put_in(&call(token), |_| false).map(|arguments| arguments[0].value.clone());
        assert_eq!(put_in(&sent), Ok(Value::Text("r061".into())));
        assert_eq!(put_in(&planned), Ok(Value::Text(planned.clone())));
        assert!(put_in("captured-9").is_err(), "a guest cannot make one up");
    }
}
