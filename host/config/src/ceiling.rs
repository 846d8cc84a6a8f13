//! The operator's ceiling: what no target may exceed.

use raito_core::grant::{Ceiling, Origin};

use crate::keys::CEILING;
use crate::mistake::Mistake;
use crate::reader::{Reader, node_place, parse};

/// Reads a ceiling.
///
/// # Errors
/// All mistakes of the text, in their order.
pub fn read_ceiling(text: &str) -> Result<Ceiling, Vec<Mistake>> {
    let node = parse(text).map_err(|mistake| vec![mistake])?;
    let no_variables = |_: &str| None;
    let mut reader = Reader::new(&no_variables);
    let mut ceiling = Ceiling::default();
    if let Some(fields) = reader.map(&node, CEILING) {
        let allowed =
            |reader: &mut Reader<'_>, key: &str| fields.get(key).and_then(|node| reader.boolean(node)) != Some(false);
        ceiling.no_write = !allowed(&mut reader, "write");
        ceiling.no_raw = !allowed(&mut reader, "raw");
        ceiling.databases = fields.get("databases").map(|node| reader.all_parsed(node));
        ceiling.connectors = fields.get("connectors").map(|node| reader.all_parsed(node));
        ceiling.origins = fields.get("origins").map(|list| {
            let mut origins = std::collections::BTreeSet::new();
            for item in reader.list(list) {
                match reader.text(item).map(|text| Origin::parse(&text)) {
                    Some(Ok(origin)) => {
                        origins.insert(origin);
                    }
                    Some(Err(error)) => reader.wrong(node_place(item), error.to_string(), None),
                    None => {}
                }
            }
            origins
        });
    }
    reader.mistakes.sort();
    if reader.mistakes.is_empty() { Ok(ceiling) } else { Err(reader.mistakes) }
}
