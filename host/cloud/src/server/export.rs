//! The export of everything that is current.

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::stream;
use raito_core::limits;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::App;
use super::quotas::Work;
use super::route::{Body, Route, route, schema};
use crate::api::About;
use crate::api::scope::Scope;
use crate::store::StoreError;

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(
            ("get", "/about"),
            "What this service is",
            Scope::Read,
            Body::None,
            Body::Json(schema::<About>),
            get(about),
        ),
        Route {
            work: Work::Export,
            ..route(
                ("get", "/export"),
                "Everything that is current, in a fixed order",
                Scope::Read,
                Body::None,
                Body::Lines(schema::<serde_json::Value>),
                get(export),
            )
        },
    ]
}

async fn about() -> Json<About> {
    Json(About { version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// Streams the export. Where the store fails in the middle, the answer breaks off instead of ending.
async fn export(State(app): State<App>) -> Response {
    let (sender, receiver) = mpsc::channel::<Result<Vec<u8>, StoreError>>(64);
    tokio::spawn(async move {
        let lines = sender.clone();
        // As long as it is read, no checkpoint of the store passes it.
        let exported =
            timeout(limits::CLOUD_EXPORT, app.store.export(async move |line| lines.send(Ok(line)).await.is_ok()));
        let error = match exported.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => StoreError::Conflict(format!("an export takes at most {:?}", limits::CLOUD_EXPORT)),
        };
        // Where nobody reads any more, nobody is there to hear it.
        let _ = sender.send(Err(error)).await;
    });
    let lines =
        stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|line| (line, receiver)) });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], HttpBody::from_stream(lines)).into_response()
}
