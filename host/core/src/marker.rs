//! Markers: who is master of an entity, written where the target keeps its description.
//!
//! Every managed entity has one master: a cloud or a repository. Its name and the entry stand at the end of the entity's
//! description, so that whoever reads the target sees it, and another master leaves it alone.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::text::Remark;

/// Who is master of an entity, such as `cloud:0192…` or `git:access-repository`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Master(String);

impl Master {
    /// The master of nothing.
    pub fn nobody() -> Self {
        Self("cloud:nobody".to_owned())
    }

    /// The repository that it is, such as `corp/access`; none for a cloud.
    pub fn repository(&self) -> Option<&str> {
        self.0.strip_prefix("git:")
    }

    /// Whether it is a repository. One that names what it manages proves by that what is its own, so an entity that was there
    /// before gets its marker with its first change, and taking over what is as it is to be changes nothing.
    pub fn is_repository(&self) -> bool {
        self.repository().is_some()
    }
}

/// A text that names no master.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a master is cloud:… or git:…, with letters, digits, dots, dashes, underscores and slashes")]
pub struct NotAMaster;

impl FromStr for Master {
    type Err = NotAMaster;
    fn from_str(text: &str) -> Result<Self, NotAMaster> {
        let name = text.strip_prefix("cloud:").or_else(|| text.strip_prefix("git:")).ok_or(NotAMaster)?;
        if is_word(name) && text.len() <= 200 { Ok(Self(text.to_owned())) } else { Err(NotAMaster) }
    }
}

impl TryFrom<String> for Master {
    type Error = NotAMaster;
    fn try_from(text: String) -> Result<Self, NotAMaster> {
        text.parse()
    }
}

impl From<Master> for String {
    fn from(master: Master) -> Self {
        master.0
    }
}

impl fmt::Display for Master {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/'))
}

/// What a description's end says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Who is master.
    pub master: Master,
    /// The entry, among those of the master.
    pub entry: String,
}

impl Marker {
    /// Whether an entry of this name can stand in a marker: letters, digits, dots, dashes, underscores and slashes, at most 200.
    pub fn takes(entry: &str) -> bool {
        is_word(entry) && entry.len() <= 200
    }
}

const OPEN: &str = "[raito ";

/// The description with the marker of its master at its end. A description that would become too long is cut.
pub fn marked(description: &Remark, master: &Master, entry: &str) -> Remark {
    let marker = format!("{OPEN}{master} {entry}]");
    let room = limits::DESCRIPTION_BYTES.saturating_sub(marker.len() + 1);
    let mut text = description.as_str();
    while text.len() > room {
        text = &text[..text.char_indices().next_back().map_or(0, |(at, _)| at)];
    }
    let blank = if text.is_empty() { "" } else { " " };
    Remark::new(format!("{text}{blank}{marker}")).unwrap_or_else(|_| description.clone())
}

/// The description without the marker at its end.
pub fn unmarked(description: &Remark) -> Remark {
    let text = match (marker(description), description.as_str().rsplit_once(OPEN)) {
        (Some(_), Some((text, _))) => text.trim_end(),
        _ => description.as_str(),
    };
    Remark::new(text).unwrap_or_else(|_| description.clone())
}

/// The marker at the end of a description, where there is one.
pub fn marker(description: &Remark) -> Option<Marker> {
    let (_, rest) = description.as_str().trim_end().strip_suffix(']')?.rsplit_once(OPEN)?;
    let (master, entry) = rest.split_once(' ')?;
    is_word(entry).then_some(())?;
    Some(Marker { master: master.parse().ok()?, entry: entry.to_owned() })
}

/// Whether the marker at the end of a description says that it is this entry of this master.
pub fn is_of(description: &Remark, master: &Master, entry: &str) -> bool {
    marker(description).is_some_and(|marker| marker.master == *master && marker.entry == entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remark(text: &str) -> Remark {
        Remark::new(text).expect("within its bounds")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let master: Master = "cloud:0192-ab".parse().expect("a master");
        for text in ["", "who reads revenue", "ends with [raito git:x y]"] {
            let description = marked(&remark(text), &master, "r-1");
            assert_eq!(marker(&description), Some(Marker { master: master.clone(), entry: "r-1".into() }), "{text}");
        }
        let long = marked(&remark(&"ä".repeat(limits::DESCRIPTION_BYTES / 2)), &master, "r-1");
        assert!(long.as_str().len() <= limits::DESCRIPTION_BYTES && marker(&long).is_some());
    }

    #[test]
    fn what_is_no_marker_is_none() {
        for text in
            ["", "[raito]", "[raito cloud:x]", "[raito mail:x y]", "[raito cloud:x y] and more", "[raito cloud:x y z]"]
        {
            assert_eq!(marker(&remark(text)), None, "{text}");
        }
        assert!("cloud:a b".parse::<Master>().is_err() && "cloud:".parse::<Master>().is_err());
    }
}
