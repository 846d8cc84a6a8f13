//! Step 2: the objects.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tag;
use crate::digest::{Hasher, Key};
use crate::text::{ExternalId, Kind, Name, PathPart, Remark, Signature};

/// Names one object of a target. Unique by kind, path and signature together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ObjectRef {
    /// The kind.
    pub kind: Kind,
    /// The names from the outermost object to this one, 1 to `limits::PATH_PARTS` of them.
    pub path: Vec<PathPart>,
    /// What tells objects of the same path apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

impl ObjectRef {
    /// What identifies the object among all objects of its target.
    pub fn key(&self) -> Key {
        let mut hasher = Hasher::default();
        hasher.field(self.kind.as_str()).optional(self.signature.as_ref().map(Signature::as_str));
        for part in &self.path {
            hasher.field(part.as_str());
        }
        hasher.finish_key()
    }
}

/// The object for people: its kind, its path with dots, its signature in parentheses; parts that hold a dot or a quote
/// stand in double quotes.
impl fmt::Display for ObjectRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ", self.kind)?;
        for (index, part) in self.path.iter().enumerate() {
            if index > 0 {
                out.write_str(".")?;
            }
            if part.as_str().contains(['.', '"', ' ', '(', ')']) {
                write!(out, "\"{}\"", part.to_string().replace('"', "\"\""))?;
            } else {
                write!(out, "{part}")?;
            }
        }
        match &self.signature {
            Some(signature) => write!(out, "({signature})"),
            None => Ok(()),
        }
    }
}

/// Whose rights count when data is reached through an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rights {
    /// Those of whoever uses the object.
    #[default]
    Caller,
    /// Those of the object's owner.
    Owner,
    /// Nobody's: the object hands the data out by itself.
    Nobody,
}

impl Rights {
    fn is_caller(&self) -> bool {
        *self == Self::Caller
    }
}

/// One object of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DataObject {
    /// What identifies the object for good.
    pub external_id: ExternalId,
    /// Its short name.
    pub name: Name,
    /// Its place, as grants and usage name it.
    #[serde(rename = "ref")]
    pub object: ObjectRef,
    /// What it is for.
    pub description: Remark,
    /// The object that it stands directly below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_external_id: Option<ExternalId>,
    /// The data type of a column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<Name>,
    /// Objects whose data can be reached through this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<ObjectRef>,
    /// Whose rights on them count.
    #[serde(default, skip_serializing_if = "Rights::is_caller")]
    pub rights: Rights,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}
