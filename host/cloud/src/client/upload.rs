//! An upload that is being sent: lines go out while more are read, and wait where the cloud is slower.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use raito_core::exchange::CloudError;
use raito_core::limits;
use raito_core::ports::{BoxFuture, Upload};
use raito_core::upload::Receipt;
use reqwest::RequestBuilder;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Origin, refused, unreachable, whole};

/// Bytes of one piece, and pieces that may wait. A page is sent in as many as it takes, so that not several wait at once.
const PIECE_BYTES: usize = 256 * 1024;
const WAITING: usize = 2;

/// The pieces as a request's body.
struct Pieces(mpsc::Receiver<Bytes>);

impl Stream for Pieces {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|piece| piece.map(Ok))
    }
}

/// An upload that is being sent.
pub(super) struct Sending {
    pieces: Option<mpsc::Sender<Bytes>>,
    answer: Option<JoinHandle<Result<Receipt, CloudError>>>,
}

impl Sending {
    /// Begins to send a request whose body comes in pieces.
    pub(super) fn begin(request: RequestBuilder, origin: Origin) -> Self {
        let (pieces, waiting) = mpsc::channel(WAITING);
        let request =
            request.header("content-type", "application/x-ndjson").body(reqwest::Body::wrap_stream(Pieces(waiting)));
        let answer = tokio::spawn(async move {
            let response = request.send().await.map_err(|error| unreachable(&error))?;
            if !response.status().is_success() {
                return Err(refused(response, origin).await);
            }
            let body = whole(response, limits::CLOUD_PROBLEM_BYTES).await?;
            serde_json::from_slice(&body)
                .map_err(|error| CloudError::Failed(format!("its receipt is not understood: {error}")))
        });
        Self { pieces: Some(pieces), answer: Some(answer) }
    }

    /// What the cloud answered, or why it could not.
    async fn answer(&mut self) -> Result<Receipt, CloudError> {
        self.pieces = None;
        match self.answer.take() {
            Some(answer) => answer.await.unwrap_or_else(|error| Err(CloudError::Failed(error.to_string()))),
            None => Err(CloudError::Failed("the upload has ended".into())),
        }
    }
}

impl Upload for Sending {
    fn send(&mut self, lines: Vec<u8>) -> BoxFuture<'_, Result<(), CloudError>> {
        Box::pin(async move {
            let mut left = Bytes::from(lines);
            while let Some(pieces) = &self.pieces {
                if left.is_empty() {
                    return Ok(());
                }
                if pieces.send(left.split_to(left.len().min(PIECE_BYTES))).await.is_err() {
                    break;
                }
            }
            // The cloud has answered before everything was sent: that is a refusal.
            match self.answer().await {
                Err(error) => Err(error),
                Ok(_) => Err(CloudError::Failed("it answered before the upload was sent".into())),
            }
        })
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<Receipt, CloudError>> {
        Box::pin(async move { self.answer().await })
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(answer) = &self.answer {
            answer.abort();
        }
    }
}
