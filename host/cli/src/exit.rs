//! Exit codes, as one table. `host/docs/errors.md` explains them; a test compares the two.

/// What the program ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Exit {
    /// Everything was done.
    Done,
    /// A target failed: wrong password, unreachable, TLS.
    Failed,
    /// The command line or a file is wrong.
    Usage,
    /// A plan has changes, where `--detailed-exitcode` asks for it.
    Changes,
    /// Refused: not granted, not trusted, over a threshold.
    Refused,
    /// A connector trapped, hit a limit, or handed over a bad record.
    Connector,
    /// The cloud cannot be reached, or refuses.
    Cloud,
    /// A plan is out of date.
    Stale,
    /// Somebody interrupted it.
    Interrupted,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Changes => 3,
            Self::Refused => 4,
            Self::Connector => 5,
            Self::Cloud => 6,
            Self::Stale => 7,
            Self::Interrupted => 130,
        }
    }

    /// Which of several counts: an interruption first, then what a person has to look at before trying again.
    const ORDER: [Self; 9] = [
        Self::Interrupted,
        Self::Usage,
        Self::Refused,
        Self::Cloud,
        Self::Stale,
        Self::Connector,
        Self::Failed,
        Self::Changes,
        Self::Done,
    ];

    /// The one that counts.
    pub(crate) fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        let rank = |exit: &Self| Self::ORDER.iter().position(|other| other == exit);
        all.into_iter().min_by_key(rank).unwrap_or(Self::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_the_one_counts_that_needs_a_person_first() {
        assert_eq!(Exit::worst([]), Exit::Done);
        assert_eq!(Exit::worst([Exit::Done, Exit::Failed, Exit::Connector]), Exit::Connector);
        assert_eq!(Exit::worst([Exit::Cloud, Exit::Refused, Exit::Usage]), Exit::Usage);
        assert_eq!(Exit::worst([Exit::Usage, Exit::Interrupted]), Exit::Interrupted);
    }
}
