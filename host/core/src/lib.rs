//! The rules of raito, as values in and values out.
//!
//! This crate does no IO, reads no clock, prints nothing and knows no runtime; `parts` alone asks how many processors there are. It holds the records that connectors report
//! (`record`), the vocabulary that bounds what a connector can ask (`manifest`, `vocabulary`), the decision what of that a
//! target grants (`grant`, `capability`), and the rules by which reads become decisions (`unite`, `fact`, `decide`, `threshold`). The ports (`ports`) are the traits that the crates around it implement.

pub mod address;
pub mod call;
pub mod capability;
pub mod catalogue;
pub mod checkpoint;
pub mod credential;
pub mod decide;
pub mod digest;
pub mod event;
pub mod exchange;
pub mod expansion;
pub mod fact;
pub mod fault;
pub mod grant;
pub mod groups;
pub mod leak;
pub mod limits;
pub mod linking;
pub mod manifest;
pub mod marker;
pub mod members;
pub mod naming;
pub mod parts;
pub mod plan;
pub mod ports;
pub mod record;
pub mod references;
pub mod secret;
pub mod seen;
pub mod sql;
pub mod step;
pub mod suggest;
pub mod text;
pub mod threshold;
pub mod unite;
pub mod upload;
pub mod uses;
pub mod vocabulary;
pub mod warrant;
pub mod yaml;
