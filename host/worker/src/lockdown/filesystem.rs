//! Landlock: no access to any file, no TCP, no signals to others.

use std::io;

use landlock::{ABI, Access as _, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr as _, RulesetError, Scope};

use super::Landlock;

/// The newest version that is asked for. An older kernel gives what it has of it.
const NEWEST: ABI = ABI::V10;

/// Takes away access to everything that Landlock knows: no rule gives any of it back. What was opened before stays open.
pub(super) fn restrict() -> Result<Landlock, io::Error> {
    let status = ruleset().map_err(io::Error::other)?;
    Ok(match status {
        LandlockStatus::Available { effective_abi, .. } => {
            Landlock::Abi(u32::try_from(effective_abi as i32).unwrap_or_default())
        }
        LandlockStatus::NotEnabled => Landlock::Disabled,
        LandlockStatus::NotImplemented => Landlock::Missing,
    })
}

fn ruleset() -> Result<LandlockStatus, RulesetError> {
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    Ok(ruleset.create()?.restrict_self()?.landlock)
}
