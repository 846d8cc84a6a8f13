//! Pacing: how many requests a second, and how long to wait before sending again.

use std::time::Duration;

use raito_core::limits;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Lets through so many requests a second, spread evenly after a first burst of a tenth of a second.
pub(crate) struct Pace {
    gap: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    pub(crate) fn new(requests_a_second: u32) -> Self {
        Self { gap: Duration::from_secs(1) / requests_a_second.max(1), next: Mutex::new(Instant::now()) }
    }

    /// Waits until the next request may go.
    pub(crate) async fn wait(&self) {
        let at = {
            let mut next = self.next.lock().await;
            let burst = Duration::from_millis(100);
            let earliest = Instant::now().checked_sub(burst).unwrap_or_else(Instant::now);
            let at = (*next).max(earliest);
            *next = at + self.gap;
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

/// The pause before attempt `attempt` (from 1), by what the target asked for or by doubling; none where it asks for more
/// than is waited. Jitter comes from the attempt itself: one host, one target, nothing to spread.
pub(crate) fn pause(attempt: u32, asked: Option<Duration>) -> Option<Duration> {
    match asked {
        Some(asked) if asked > limits::RETRY_PAUSE_MAX => None,
        Some(asked) => Some(asked),
        None => {
            Some((limits::RETRY_PAUSE * 2_u32.saturating_pow(attempt.saturating_sub(1))).min(limits::RETRY_PAUSE_MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_the_targets_own_word_counts() {
        assert_eq!(pause(1, None), Some(Duration::from_millis(200)));
        assert_eq!(pause(3, None), Some(Duration::from_millis(800)));
        assert_eq!(pause(30, None), Some(limits::RETRY_PAUSE_MAX));
        assert_eq!(pause(1, Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(pause(1, Some(Duration::from_secs(3_600))), None);
    }
}
