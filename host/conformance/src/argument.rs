//! Arguments of calls as a scenario writes them: plain JSON where the case is plain, and named where it is not.

use std::collections::BTreeMap;

use raito_core::call::{Argument, Value};
use serde_json::{Value as Json, json};

/// Arguments by name. An absent one and a null are the same.
pub(crate) type Arguments = BTreeMap<String, Json>;

/// The arguments of a call, as a scenario writes them.
pub(crate) fn written(arguments: &[Argument]) -> Arguments {
    let given = arguments.iter().filter(|argument| argument.value != Value::Null);
    given.map(|argument| (argument.name.clone(), value(&argument.value))).collect()
}

fn value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Boolean(flag) => json!(flag),
        Value::Texts(texts) => json!({ "texts": texts }),
        Value::Name(parts) => json!({ "name": parts }),
        Value::Keywords(words) => json!({ "keywords": words }),
        Value::Names(names) => json!({ "names": names }),
        Value::Items(items) => {
            let item = |item: &Vec<(String, String)>| item.iter().cloned().collect::<BTreeMap<_, _>>();
            json!({ "items": items.iter().map(item).collect::<Vec<_>>() })
        }
        Value::Captured(token) => json!({ "captured": token }),
        Value::Free(text) => json!({ "free": text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_is_told_from_the_others() {
        let text = || "a".to_owned();
        let cases = [
            (Value::Text(text()), r#"{"x":"a"}"#),
            (Value::Integer(7), r#"{"x":7}"#),
            (Value::Boolean(true), r#"{"x":true}"#),
            (Value::Null, "{}"),
            (Value::Texts(vec![text()]), r#"{"x":{"texts":["a"]}}"#),
            (Value::Name(vec![text()]), r#"{"x":{"name":["a"]}}"#),
            (Value::Keywords(vec![text()]), r#"{"x":{"keywords":["a"]}}"#),
            (Value::Names(vec![vec![text()]]), r#"{"x":{"names":[["a"]]}}"#),
            (Value::Items(vec![vec![(text(), text())]]), r#"{"x":{"items":[{"a":"a"}]}}"#),
            (Value::Captured(text()), r#"{"x":{"captured":"a"}}"#),
            (Value::Free(text()), r#"{"x":{"free":"a"}}"#),
        ];
        for (value, expected) in cases {
            let written = written(&[Argument { name: "x".into(), value }]);
            assert_eq!(serde_json::to_string(&written).expect("JSON"), expected);
        }
    }
}
