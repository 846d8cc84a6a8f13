//! The settings of a target, as the context carries them.

use crate::types::{Context, Place};

/// Reads settings. The host has checked them against the manifest, so each declared one is there and of its type.
#[derive(Clone, Copy)]
pub struct Settings<'c>(&'c Context);

impl<'c> Settings<'c> {
    /// The settings of a context.
    pub fn new(context: &'c Context) -> Self {
        Self(context)
    }

    /// A text; empty where the target sets none and the manifest has no default.
    pub fn text(&self, key: &str) -> &'c str {
        self.0.settings.iter().find(|setting| setting.key == key).map_or("", |setting| setting.value.as_str())
    }

    /// A flag.
    pub fn boolean(&self, key: &str) -> bool {
        self.text(key) == "true"
    }

    /// A number, where one is set.
    pub fn integer(&self, key: &str) -> Option<i64> {
        self.text(key).parse().ok()
    }

    /// A list of texts.
    pub fn list(&self, key: &str) -> Vec<String> {
        self.text(key).lines().map(str::to_owned).collect()
    }

    /// Where a slot leads to, where the target binds it.
    pub fn place(&self, slot: &str) -> Option<&'c Place> {
        self.0.places.iter().find(|place| place.slot == slot)
    }
}
