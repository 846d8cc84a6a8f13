//! The program against the real thing: servers that run, files on disk, processes that are killed.
#![allow(unreachable_pub, reason = "modules of a test are public to each other")]

#[path = "../support/raw.rs"]
mod raw;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod access_convert;
mod access_filters;
mod access_masks;
mod access_random;
mod access_refusals;
mod access_retire;
mod access_size;
mod access_state;
mod api;
mod changes;
mod changes_deletion;
mod changes_exact;
mod changes_policies;
mod changes_random;
mod changes_unanswered;
mod ci;
mod cloud_limits;
mod conformance;
mod demo;
mod drift;
mod full_disk;
mod groups;
mod hostile;
mod hostile_changes;
mod hostile_crash;
mod hostile_depth;
mod hostile_egress;
mod hostile_raw;
mod hostile_resources;
mod isolation;
mod kill;
mod lsp;
mod mistakes;
mod no_files;
mod oddities;
mod people;
mod postgresql;
mod python;
mod reads;
mod record;
mod recover;
mod references;
mod refusals;
mod removals;
mod session;
mod tamper;
mod untold;
mod usage;
mod usage_gaps;
mod who;
mod who_rows;
mod who_tried;
