//! Capturing: values of an answer that later calls use, such as the id of what was just created.

use std::fmt;

use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::text::Ident;
use raito_core::vocabulary::{Capture, Route};
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Number};

/// The values that a route declares, out of an answer with a good status; nothing out of any other.
pub(crate) fn captures(
    route: &Route,
    status: u16,
    headers: &[(String, String)],
    body: &[u8],
) -> Result<Vec<(Ident, String)>, Fault> {
    if !(200..300).contains(&status) {
        return Ok(Vec::new());
    }
    let value = |capture: &Capture| match capture {
        Capture::Header(name) => headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()),
        Capture::Body(pointer) => at(body, pointer),
    };
    let captured = |(name, capture): (&Ident, &Capture)| {
        let missing = || Fault::new(FaultKind::Internal, format!("the answer to {} has no {name}", route.shown));
        let value = value(capture).filter(|value| value.len() <= limits::EXTERNAL_ID_BYTES).ok_or_else(missing)?;
        Ok((name.clone(), value))
    };
    route.returns.iter().map(captured).collect()
}

/// The text or number at a JSON pointer (RFC 6901) of a body. Nothing else of the body is kept: as
/// values, an answer takes sixteen times its bytes. Of several members with one name, the last one
/// counts.
fn at(body: &[u8], pointer: &str) -> Option<String> {
    let mut tokens = pointer.split('/');
    if tokens.next() != Some("") {
        return None;
    }
    let tokens: Vec<String> = tokens.map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    let mut reader = Deserializer::from_slice(body);
    let found = Seek(&tokens).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    found
}

/// What is left of the way to a value. Each token leads one level down, of which the reader takes
/// 127.
struct Seek<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<String>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl Seek<'_> {
    /// A number, where the way ends here.
    fn number(&self, number: impl Into<Number>) -> Option<String> {
        self.0.is_empty().then(|| number.into().to_string())
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<String>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(self.number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.number(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(number).and_then(|number| self.number(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let is_it = self.0.is_empty() && text.len() <= limits::EXTERNAL_ID_BYTES;
        Ok(is_it.then(|| text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut index = 0_usize;
        let wanted = self.0.split_first().and_then(|(token, rest)| Some((index_of(token)?, rest)));
        loop {
            let is_there = match wanted {
                Some((wanted, rest)) if wanted == index => {
                    let item = items.next_element_seed(Seek(rest))?;
                    let is_there = item.is_some();
                    found = item.flatten();
                    is_there
                }
                _ => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !is_there {
                return Ok(found);
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = members.next_key::<String>()? {
            match self.0.split_first() {
                Some((token, rest)) if *token == key => found = members.next_value_seed(Seek(rest))?,
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// The index that a token names: digits without a zero before them (RFC 6901, section 4).
fn index_of(token: &str) -> Option<usize> {
    let is_one = token.bytes().all(|byte| byte.is_ascii_digit()) && (token.len() == 1 || !token.starts_with('0'));
    if is_one { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// The same by way of the whole body as values.
    fn by_value(body: &[u8], pointer: &str) -> Option<String> {
        match serde_json::from_slice::<Value>(body).ok()?.pointer(pointer)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn bodies() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-c/~0-9\"\\\\é]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[a-c/~0-2]{0,2}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_captured_is_what_the_whole_body_has_there(
            body in bodies(),
            pointer in "(/[a-c0-2]{0,2}|/~[01]|/0[0-9]|/\\+1|a|){0,4}",
            cut in 0_usize..200,
        ) {
            let text = body.to_string();
            prop_assert_eq!(at(text.as_bytes(), &pointer), by_value(text.as_bytes(), &pointer));
            let cut = text.as_bytes().get(..cut).unwrap_or(text.as_bytes());
            prop_assert_eq!(at(cut, &pointer), by_value(cut, &pointer), "cut");
        }
    }

    #[test]
    fn of_several_members_the_last_one_counts_and_what_is_too_deep_or_goes_on_is_no_body() {
        for body in [r#"{"a":1,"a":{"b":2}}"#, r#"{"a":{"b":1},"a":2}"#, r#"{"a":1} x"#, "[01]", "{\"a\":\"\\ud800\"}"]
        {
            for pointer in ["", "/a", "/a/b", "/0", "a"] {
                assert_eq!(at(body.as_bytes(), pointer), by_value(body.as_bytes(), pointer), "{body} {pointer}");
            }
        }
        for depth in [126, 127, 128, 100_000] {
            let body = ["[".repeat(depth), "7".to_owned(), "]".repeat(depth)].concat();
            let pointer = "/0".repeat(depth);
            assert_eq!(at(body.as_bytes(), &pointer).is_some(), depth < 128, "{depth} levels");
            assert_eq!(at(body.as_bytes(), "/0"), None, "{depth} levels");
        }
    }
}
