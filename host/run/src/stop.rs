//! Stopping: somebody asks, and what runs ends at the next page.

use std::sync::Arc;

use tokio::sync::watch;

/// A wish to stop, shared by whoever has it and whoever must obey.
#[derive(Debug, Clone)]
pub struct Stop {
    wish: Arc<watch::Sender<bool>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { wish: Arc::new(watch::Sender::new(false)) }
    }
}

impl Stop {
    /// Asks to stop.
    pub fn ask(&self) {
        self.wish.send_replace(true);
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        *self.wish.borrow()
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        let mut wish = self.wish.subscribe();
        // The sender lives as long as this does.
        let _ = wish.wait_for(|asked| *asked).await;
    }
}
