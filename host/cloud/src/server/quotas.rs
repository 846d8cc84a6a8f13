//! What one token may have of the server, and all of them together.
//!
//! Who has a token is trusted with what it may do, and not with how much. What is over a bound is
//! refused at once, before anything of its body is read, and with the time after which to try
//! again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use raito_core::digest::Digest;
use raito_core::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Refusal;

/// What a request is, by what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// A question or a change: memory for its body and its answer, and a connection to the store
    /// for a moment.
    Question,
    /// The same with a long body.
    Large,
    /// A question about the past, for which everything of a source is read.
    Past,
    /// An upload: a connection of its own, and room on the disk.
    Upload,
    /// An export: a connection of its own.
    Export,
}

/// What is taken at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Taken {
    questions: usize,
    large: usize,
    past: usize,
    uploads: usize,
    exports: usize,
    staged: u64,
}

impl Taken {
    fn of(&mut self, work: Work) -> &mut usize {
        match work {
            Work::Question => &mut self.questions,
            Work::Large => &mut self.large,
            Work::Past => &mut self.past,
            Work::Upload => &mut self.uploads,
            Work::Export => &mut self.exports,
        }
    }
}

impl Work {
    /// How many there may be at a time: of one token, and of all.
    fn most(self) -> (usize, usize) {
        match self {
            Self::Question => (limits::CLOUD_REQUESTS_OF_TOKEN, limits::CLOUD_REQUESTS),
            Self::Large => (limits::CLOUD_LARGE_OF_TOKEN, limits::CLOUD_LARGE),
            Self::Past => (limits::CLOUD_PAST_OF_TOKEN, limits::CLOUD_PAST),
            Self::Upload => (limits::CLOUD_UPLOADS_OF_TOKEN, limits::CLOUD_UPLOADS),
            Self::Export => (limits::CLOUD_EXPORTS_OF_TOKEN, limits::CLOUD_EXPORTS),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Question => "requests",
            Self::Large => "requests or answers of more than 4 MiB",
            Self::Past => "questions about the past",
            Self::Upload => "uploads",
            Self::Export => "exports",
        }
    }

    /// Seconds after which it is worth trying again.
    fn retry_after(self) -> u64 {
        match self {
            Self::Question => 1,
            Self::Large | Self::Past => 2,
            Self::Upload | Self::Export => 10,
        }
    }
}

/// The quotas of a server.
#[derive(Debug, Default)]
pub(super) struct Quotas(Mutex<Accounts>);

#[derive(Debug, Default)]
struct Accounts {
    all: Taken,
    /// By the digest of the token; one that has taken nothing is not there.
    tokens: HashMap<Digest, Taken>,
    /// The turns of a token to be worked on, while somebody of it waits for one.
    turns: HashMap<Digest, Weak<Semaphore>>,
}

/// A request that was admitted; dropping it gives back what it took.
#[derive(Debug)]
pub(super) struct Permit {
    quotas: Arc<Quotas>,
    token: Digest,
    work: Work,
    staged: AtomicU64,
}

impl Quotas {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a request of a token.
    ///
    /// # Errors
    /// A refusal that says when to try again, where the token or the server has as many as may be.
    pub(super) fn admit(self: &Arc<Self>, token: Digest, work: Work) -> Result<Arc<Permit>, Refusal> {
        let (most_of_token, most) = work.most();
        let mut accounts = self.accounts();
        let taken = *accounts.tokens.entry(token).or_default().of(work);
        if taken >= most_of_token {
            let (word, after) = (work.word(), work.retry_after());
            let detail = format!("this token has {taken} {word} under way, as many as it may have at a time");
            return Err(Refusal::too_many(detail, after));
        }
        if *accounts.all.of(work) >= most {
            let detail = format!("the cloud works on {most} {} already", work.word());
            accounts.forget(&token);
            return Err(Refusal::busy(detail, work.retry_after()));
        }
        *accounts.all.of(work) += 1;
        *accounts.tokens.entry(token).or_default().of(work) += 1;
        Ok(Arc::new(Permit { quotas: Arc::clone(self), token, work, staged: AtomicU64::new(0) }))
    }
}

impl Accounts {
    /// Forgets a token that has taken nothing.
    fn forget(&mut self, token: &Digest) {
        if self.tokens.get(token) == Some(&Taken::default()) {
            self.tokens.remove(token);
            self.turns.remove(token);
        }
    }
}

impl Permit {
    /// Admits more work of the same token, for a request that turns out to take more.
    ///
    /// # Errors
    /// As [`Quotas::admit`].
    pub(super) fn more(&self, work: Work) -> Result<Arc<Self>, Refusal> {
        self.quotas.admit(self.token, work)
    }

    /// Waits until fewer requests of the token are worked on than may hold connections of the store: those
    /// beyond stand behind one another, and in nobody else's way. An upload and an export have their own.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        if matches!(self.work, Work::Upload | Work::Export) {
            return None;
        }
        let turns = {
            let mut accounts = self.quotas.accounts();
            let known = accounts.turns.get(&self.token).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let turns = Arc::new(Semaphore::new(limits::CLOUD_AT_WORK_OF_TOKEN));
                accounts.turns.insert(self.token, Arc::downgrade(&turns));
                turns
            })
        };
        // It is never closed.
        turns.acquire_owned().await.ok()
    }

    /// Counts bytes of an upload that are about to be staged.
    ///
    /// # Errors
    /// A refusal where the upload, its token, or the server has as many as may be.
    pub(super) fn stage(&self, bytes: u64) -> Result<(), Refusal> {
        let staged = self.staged() + bytes;
        if staged > limits::UPLOAD_BYTES {
            let most = limits::UPLOAD_BYTES >> 20;
            return Err(Refusal::too_large(format!("an upload has at most {most} MiB")));
        }
        let after = Work::Upload.retry_after();
        let mut accounts = self.quotas.accounts();
        let of_token = accounts.tokens.entry(self.token).or_default().staged;
        if of_token + bytes > limits::STAGED_BYTES_OF_TOKEN {
            let most = limits::STAGED_BYTES_OF_TOKEN >> 20;
            let detail =
                format!("this token has {} MiB in uploads that are under way, of at most {most}", of_token >> 20);
            return Err(Refusal::too_many(detail, after));
        }
        if accounts.all.staged + bytes > limits::STAGED_BYTES {
            let most = limits::STAGED_BYTES >> 20;
            return Err(Refusal::busy(format!("the cloud has {most} MiB in uploads that are under way"), after));
        }
        accounts.all.staged += bytes;
        accounts.tokens.entry(self.token).or_default().staged += bytes;
        self.staged.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// How many bytes these are so far.
    pub(super) fn staged(&self) -> u64 {
        self.staged.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (quotas, token, work, staged) = (Arc::clone(&self.quotas), self.token, self.work, self.staged());
        let mut accounts = quotas.accounts();
        let give_back = |taken: &mut Taken| {
            *taken.of(work) = taken.of(work).saturating_sub(1);
            taken.staged = taken.staged.saturating_sub(staged);
        };
        give_back(&mut accounts.all);
        if let Some(taken) = accounts.tokens.get_mut(&token) {
            give_back(taken);
        }
        accounts.forget(&token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: u64) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    fn is_untouched(quotas: &Quotas) -> bool {
        let accounts = quotas.accounts();
        accounts.all == Taken::default() && accounts.tokens.is_empty()
    }

    #[test]
    fn a_token_has_its_share_and_all_of_them_theirs_and_what_ends_is_given_back() {
        for work in [Work::Question, Work::Large, Work::Past, Work::Upload, Work::Export] {
            let quotas = Arc::new(Quotas::default());
            let (most_of_token, most) = work.most();
            let mut held: Vec<_> =
                (0..most_of_token).map(|_| quotas.admit(token(0), work).expect("within its share")).collect();
            let refused = quotas.admit(token(0), work).expect_err("too many");
            assert_eq!((refused.status(), refused.retry_after()), (429, Some(work.retry_after())));
            for number in 0..(most - most_of_token) as u64 {
                held.push(quotas.admit(token(1 + number), work).expect("another token"));
            }
            let status = quotas.admit(token(u64::MAX), work).expect_err("too many of all").status();
            assert_eq!(status, 503);
            held.pop();
            quotas.admit(token(u64::MAX), work).expect("one has ended");
            held.clear();
            assert!(is_untouched(&quotas));
        }
    }

    #[tokio::test]
    async fn requests_of_a_token_stand_behind_one_another_and_in_nobody_elses_way() {
        let quotas = Arc::new(Quotas::default());
        let admit = |number| quotas.admit(token(number), Work::Question).expect("few");
        let held: Vec<_> = (0..limits::CLOUD_AT_WORK_OF_TOKEN).map(|_| admit(0)).collect();
        let mut turns = Vec::new();
        for permit in &held {
            turns.push(permit.turn().await.expect("a turn"));
        }
        let next = admit(0);
        let soon = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, next.turn()).await.is_err(), "it waits");
        let other = admit(1);
        assert!(other.turn().await.is_some(), "another token does not");
        let upload = quotas.admit(token(0), Work::Upload).expect("few");
        assert!(upload.turn().await.is_none(), "nor does an upload");
        drop((turns.pop(), other, upload));
        assert!(next.turn().await.is_some(), "one has ended");
        drop((turns, held, next));
        assert!(is_untouched(&quotas) && quotas.accounts().turns.is_empty());
    }

    #[test]
    fn bytes_are_bounded_for_an_upload_a_token_and_the_server() {
        let quotas = Arc::new(Quotas::default());
        let upload = |number| quotas.admit(token(number), Work::Upload).expect("few");
        let first = upload(0);
        first.stage(limits::UPLOAD_BYTES).expect("as long as one may be");
        assert_eq!(first.stage(1).expect_err("too long").status(), 413);
        let second = upload(0);
        second.stage(limits::STAGED_BYTES_OF_TOKEN - limits::UPLOAD_BYTES).expect("the rest of its share");
        let third = upload(0);
        assert_eq!(third.stage(1).map_err(|refusal| (refusal.status(), refusal.retry_after())), Err((429, Some(10))));
        let other = [upload(1), upload(1)];
        other.iter().for_each(|upload| upload.stage(limits::UPLOAD_BYTES).expect("another token"));
        assert_eq!(upload(2).stage(1).expect_err("too much of all").status(), 503);
        drop(first);
        third.stage(1).expect("one has ended");
        upload(2).stage(1).expect("one has ended");
        drop((second, third, other));
        assert!(is_untouched(&quotas));
    }
}
