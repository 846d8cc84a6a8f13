//! Messages between an editor and the server: a head with the length, then JSON (Language Server Protocol 3.17, "Base Protocol").
//!
//! What comes is bounded. A message that is too long, no JSON or no message is told and gone over, and the next one is read.

use std::io::{self, BufRead, Read as _, Write};

use lsp_server::{ErrorCode, Message, RequestId};
use raito_core::limits;
use serde_json::{Value, json};

/// What came.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A message.
    Message(Message),
    /// Something that is none.
    Wrong(Wrong),
}

/// Why something is no message.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The code of the error (JSON-RPC 2.0, section 5.1).
    pub(super) code: ErrorCode,
    /// Why.
    pub(super) reason: String,
    /// The request that it was to be, where that can be told.
    pub(super) id: Option<RequestId>,
}

impl Wrong {
    fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), id: None }
    }
}

/// Reads what comes next; none at the end.
pub(super) fn read(input: &mut impl BufRead) -> io::Result<Option<Incoming>> {
    let length = match head(input)? {
        None => return Ok(None),
        Some(Ok(length)) => length,
        Some(Err(reason)) => return Ok(Some(Incoming::Wrong(Wrong::new(ErrorCode::InvalidRequest, reason)))),
    };
    let mut body = input.take(length);
    if length > limits::EDITOR_MESSAGE_BYTES as u64 {
        if io::copy(&mut body, &mut io::sink())? < length {
            return Ok(None);
        }
        let reason = format!("a message has at most {} bytes, and this one {length}", limits::EDITOR_MESSAGE_BYTES);
        return Ok(Some(Incoming::Wrong(Wrong::new(ErrorCode::InvalidRequest, reason))));
    }
    let mut bytes = Vec::new();
    body.read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length {
        return Ok(None);
    }
    Ok(Some(message(&bytes)))
}

/// Reads a head, and gives the length of what follows, or why there is none. None at the end of the input.
fn head(input: &mut impl BufRead) -> io::Result<Option<Result<u64, &'static str>>> {
    let mut length = None;
    let mut wrong = None;
    let mut bytes = 0;
    loop {
        let mut line = Vec::new();
        let left = (limits::EDITOR_HEAD_BYTES - bytes) as u64;
        if input.take(left).read_until(b'\n', &mut line)? == 0 {
            return Ok(if left == 0 { Some(Err("the head of a message is too long")) } else { None });
        }
        bytes += line.len();
        let line = line.trim_ascii();
        if line.is_empty() {
            break;
        }
        let field = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'));
        match field {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => match value.trim().parse() {
                Ok(number) => length = Some(number),
                Err(_) => wrong = Some("the Content-Length of a message is no number"),
            },
            Some(_) => {}
            None => wrong = Some("the head of a message has a line without a colon"),
        }
    }
    Ok(Some(length.ok_or(wrong.unwrap_or("a message has no Content-Length"))))
}

fn message(bytes: &[u8]) -> Incoming {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => return Incoming::Wrong(Wrong::new(ErrorCode::ParseError, format!("this is not JSON: {error}"))),
    };
    let id = value.get("id").and_then(|id| serde_json::from_value(id.clone()).ok());
    match serde_json::from_value(value) {
        Ok(message) => Incoming::Message(message),
        Err(_) => {
            let reason = "this is neither a request, nor a response, nor a notification";
            Incoming::Wrong(Wrong { id, ..Wrong::new(ErrorCode::InvalidRequest, reason) })
        }
    }
}

/// Answers something that is no message. JSON-RPC wants `null` where nobody knows what it was to be (section 5).
pub(super) fn refuse(out: &mut impl Write, wrong: &Wrong) -> io::Result<()> {
    let error = json!({ "code": wrong.code as i32, "message": wrong.reason });
    let text = json!({ "jsonrpc": "2.0", "id": wrong.id, "error": error }).to_string();
    write!(out, "Content-Length: {}\r\n\r\n{text}", text.len())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Incoming> {
        let mut input = bytes;
        std::iter::from_fn(|| read(&mut input).expect("bytes can be read")).collect()
    }

    fn framed(text: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{text}", text.len())
    }

    #[track_caller]
    fn then_goes_on(wrong: &str, said: &str) {
        let whole = format!("{wrong}{}", framed(r#"{"jsonrpc":"2.0","method":"exit"}"#));
        let came = all(whole.as_bytes());
        let reasons: Vec<&str> = came
            .iter()
            .filter_map(|one| match one {
                Incoming::Wrong(wrong) => Some(wrong.reason.as_str()),
                Incoming::Message(_) => None,
            })
            .collect();
        assert!(reasons.iter().any(|reason| reason.contains(said)), "{reasons:?}");
        assert!(matches!(came.last(), Some(Incoming::Message(Message::Notification(_)))), "{came:?}");
    }

    #[test]
    fn what_is_no_message_is_told_and_gone_over() {
        then_goes_on(&framed("{"), "not JSON");
        then_goes_on(&framed("[]"), "neither a request");
        then_goes_on(&framed(&"[".repeat(100_000)), "not JSON");
        then_goes_on(&framed("{\"id\":1}"), "neither a request");
        then_goes_on("Content-Length: many\r\n\r\n", "no number");
        then_goes_on("Content-Type: x\r\n\r\n", "no Content-Length");
        then_goes_on("nothing\r\n\r\n", "without a colon");
        then_goes_on(&format!("{}\r\n\r\n", "x".repeat(limits::EDITOR_HEAD_BYTES - 2)), "too long");
        then_goes_on(&framed(&" ".repeat(limits::EDITOR_MESSAGE_BYTES + 1)), "at most");
    }

    #[test]
    fn a_request_that_is_wrong_is_answered_by_its_id() {
        let came = all(framed("{\"jsonrpc\":\"2.0\",\"id\":7}").as_bytes());
        let Some(Incoming::Wrong(wrong)) = came.first() else { panic!("{came:?}") };
        let mut out = Vec::new();
        refuse(&mut out, wrong).expect("memory");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.contains("\"id\":7") && text.contains("-32600"), "{text}");
    }

    #[test]
    fn the_end_of_the_input_is_the_end_wherever_it_comes() {
        let text = framed("{\"jsonrpc\":\"2.0\",\"method\":\"exit\"}");
        for end in 0..text.len() {
            assert!(all(&text.as_bytes()[..end]).is_empty(), "{end}");
        }
        assert!(all(b"Content-Length: 18446744073709551615\r\n\r\nx").is_empty(), "nothing is set aside for a length");
    }
}
