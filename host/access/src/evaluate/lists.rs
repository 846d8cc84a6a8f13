//! Lists of objects: entries want lines of them, and scopes say which lists are ours as a whole.

use raito_core::digest::Digest;
use raito_core::exchange::Desired;
use raito_core::record::{AccessControl, ControlKind, Identity};
use raito_core::text::Name;

use super::{Work, wanted};
use crate::document::{Entry, Extent, Mode, Purpose, Scope};

impl<'q> Work<'_, 'q> {
    pub(super) fn lists(&mut self, entries: &[(&Entry, &'q ControlKind)]) {
        for ((entry, _), control) in entries.iter().zip(self.controls(entries)) {
            // A mask or a filter that is there already is told from a stranger's by what the scope covers.
            let desired = wanted(entry.id.clone(), None, control);
            self.want(desired, entry.mode, Some(entry.spot));
        }
        let code: &'q crate::code::Code = self.question.code;
        let scopes: Vec<&Scope> = code.scopes.iter().filter(|scope| scope.target == *self.question.target).collect();
        for scope in scopes {
            if matches!(scope.extent, Extent::Under(_)) {
                self.scope(scope);
            }
        }
    }

    /// All lines of the lists in a scope are ours: what no entry wants of them goes.
    fn scope(&mut self, scope: &Scope) {
        let kinds: Vec<&ControlKind> = match &scope.kind {
            Some(_) => self.resolver.kind(scope.spot, scope.kind.as_ref(), &Purpose::Grant).into_iter().collect(),
            None => self
                .question
                .catalogue
                .description
                .controls
                .iter()
                .filter(|kind| kind.identity != Identity::Named)
                .collect(),
        };
        let named = kinds.iter().find(|kind| kind.identity == Identity::Named);
        if let Some(kind) = named {
            let message = format!("a {} has a name and is not the list of an object", kind.name);
            self.resolver.error(scope.spot, message, Some("manage it with names:".to_owned()));
            return;
        }
        if kinds.is_empty() {
            let message = "the target has no lists of objects: permissions are given by access controls with names";
            self.resolver.error(scope.spot, message, Some("manage them with names:".to_owned()));
            return;
        }
        if scope.mode == Mode::Additive {
            return;
        }
        let is_ours = |control: &&AccessControl| {
            let Extent::Under(objects) = &scope.extent else { return false };
            kinds.iter().any(|kind| kind.name == control.kind)
                && !control.what.is_empty()
                && control.what.iter().all(|what| objects.iter().any(|object| object.covers(&what.object)))
        };
        let held: Vec<&AccessControl> = self.question.catalogue.controls.kept().filter(is_ours).collect();
        for control in held {
            let digest = Digest::of(control.external_id.as_str().as_bytes()).to_string();
            let short: String = digest.chars().filter(char::is_ascii_hexdigit).take(32).collect();
            let id = Name::new(format!("list/{short}")).expect("short");
            // It is as if we had put all of it there, and wanted none of it: what entries want of it stays.
            let whole =
                Desired { delete: true, applied: Some(Box::new(control.clone())), ..wanted(id, None, control.clone()) };
            self.want(whole, scope.mode, None);
        }
    }
}
