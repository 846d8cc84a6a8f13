//! Capturing: values of an answer that later calls use, such as the id of what was just created.

use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::text::Ident;
use raito_core::vocabulary::{Capture, Route};

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
    let json = || serde_json::from_slice::<serde_json::Value>(body).ok();
    let value = |capture: &Capture| match capture {
        Capture::Header(name) => headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()),
        Capture::Body(pointer) => match json()?.pointer(pointer)? {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        },
    };
    let captured = |(name, capture): (&Ident, &Capture)| {
        let missing = || Fault::new(FaultKind::Internal, format!("the answer to {} has no {name}", route.shown));
        let value = value(capture).filter(|value| value.len() <= limits::EXTERNAL_ID_BYTES).ok_or_else(missing)?;
        Ok((name.clone(), value))
    };
    route.returns.iter().map(captured).collect()
}
