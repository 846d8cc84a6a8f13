//! Members.

use raito_core::record::{AccessControl, ControlKind, Identity, Member, MemberKind, User};
use raito_core::suggest::closest;
use raito_core::text::{ExternalId, Name};

use super::{Resolver, is_own};
use crate::document::{Severity, Spot, Who, WhoName};

/// Days before its end that a membership is said to be ending.
const SOON_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

impl<'c> Resolver<'c> {
    /// A member of an access control of this kind; none where he is not known, cannot be one, or his time is over.
    pub(crate) fn member(&mut self, who: &Who, kind: &ControlKind) -> Option<Member> {
        if let Some(end) = who.expires_ms {
            let when = crate::time::last(end);
            if end <= self.now_ms {
                self.problem(
                    who.spot,
                    Severity::Warning,
                    "expired",
                    format!("the membership of {} ended {when}", who.name),
                    None,
                );
                return None;
            }
            if end - self.now_ms <= SOON_MS {
                self.problem(
                    who.spot,
                    Severity::Warning,
                    "expiring",
                    format!("the membership of {} ends {when}", who.name),
                    None,
                );
            }
        }
        let (member, id) = match &who.name {
            WhoName::User(name) => self.user_member(who.spot, name, kind)?,
            WhoName::Group(name) => (MemberKind::Group, self.group(who.spot, name)?),
            WhoName::Control(name) => (MemberKind::AccessControl, self.control(who.spot, name)?),
            WhoName::Special(name) => (MemberKind::Special, self.special(who.spot, name)?),
        };
        // Where no group can be a member, everybody in it is.
        let by_users = member == MemberKind::Group && takes_users(kind);
        if !by_users && !kind.admits.contains(&member) {
            let admits: Vec<&str> = kind.admits.iter().map(|kind| kind.word()).collect();
            let help = Some(format!("it takes: {}", admits.join(", ")));
            self.error(who.spot, format!("a {} takes no {} from outside", kind.name, member.word()), help);
            return None;
        }
        Some(Member {
            kind: member,
            id,
            inherits: who.inherits.unwrap_or(true),
            assumable: who.assumable.unwrap_or(kind.assumable),
            may_pass_on: who.may_pass_on,
            granted_by: None,
            expires_ms: None,
        })
    }

    /// A user as a member: himself, or where the kind takes no users, by way of the access control that is his own.
    fn user_member(&mut self, spot: Spot, name: &Name, kind: &ControlKind) -> Option<(MemberKind, ExternalId)> {
        let id = self.user(spot, name)?.external_id.clone();
        let has_own = || self.catalogue.controls.get(&id).is_some_and(is_own);
        let by_own = !kind.admits.contains(&MemberKind::User) && has_own();
        Some((if by_own { MemberKind::AccessControl } else { MemberKind::User }, id))
    }

    /// The user with this account name or address.
    pub(crate) fn user(&mut self, spot: Spot, name: &Name) -> Option<&'c User> {
        let by_name = self.known.users.get(name.as_str());
        let found =
            by_name.or_else(|| self.known.users.get(&name.as_str().to_lowercase())).map_or(&[][..], Vec::as_slice);
        match found {
            [one] => Some(one),
            [] => {
                let known = self.known.users.keys().map(String::as_str);
                let help = closest(name.as_str(), known).map(|close| format!("did you mean {close}?"));
                self.missing(spot, format!("there is no user {name}"), help);
                None
            }
            several => {
                let names: Vec<String> = several.iter().map(|user| user.user_name.to_string()).collect();
                let message = format!("{name} may be any of {}", names.join(", "));
                self.error(spot, message, Some("write the account name".to_owned()));
                None
            }
        }
    }

    fn group(&mut self, spot: Spot, name: &Name) -> Option<ExternalId> {
        match self.known.groups.get(name.as_str()).map_or(&[][..], Vec::as_slice) {
            [one] => Some((*one).clone()),
            [] => {
                let help = closest(name.as_str(), self.known.groups.keys().copied());
                let help = help.map(|close| format!("did you mean {close}?"));
                self.missing(spot, format!("there is no group {name}"), help);
                None
            }
            _ => {
                self.error(spot, format!("there are several groups {name}"), None);
                None
            }
        }
    }

    /// The access control with this name: of the code, or of the target, where it stays there.
    pub(crate) fn control(&mut self, spot: Spot, name: &Name) -> Option<ExternalId> {
        if let Some(id) = self.coming.get(name) {
            return Some(id.clone());
        }
        let found: &[&AccessControl] = self.known.controls.get(name).map_or(&[], Vec::as_slice);
        match found {
            [one] if self.leaving.contains(&one.external_id) => {
                let message = format!("{name} is named here, and no entry keeps it");
                self.error(spot, message, Some("add one, or take it out of manages:".to_owned()));
                None
            }
            [one] => Some(one.external_id.clone()),
            [] => {
                let known =
                    self.known.controls.keys().map(|name| name.as_str()).chain(self.coming.keys().map(Name::as_str));
                let help = closest(name.as_str(), known).map(|close| format!("did you mean {close}?"));
                self.missing(spot, format!("there is no access control {name}"), help);
                None
            }
            _ => {
                self.error(spot, format!("there are several access controls {name}"), None);
                None
            }
        }
    }

    fn special(&mut self, spot: Spot, name: &ExternalId) -> Option<ExternalId> {
        let specials = &self.catalogue.description.specials;
        if specials.iter().any(|special| special.name == *name) {
            return Some(name.clone());
        }
        let known: Vec<&str> = specials.iter().map(|special| special.name.as_str()).collect();
        self.error(spot, format!("the target has no rule {name}"), Some(format!("it has: {}", known.join(", "))));
        None
    }
}

/// Whether users can be members, themselves or by way of the access control that is their own.
fn takes_users(kind: &ControlKind) -> bool {
    kind.admits.contains(&MemberKind::User)
        || (kind.identity == Identity::Named && kind.admits.contains(&MemberKind::AccessControl))
}
