//! What is refused, and what of it is on record.
#![allow(unreachable_pub, reason = "modules of a test are public to each other")]

#[path = "../../../tests/support/server.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod server;
#[allow(dead_code, reason = "not every test needs all of it")]
mod support;

use raito_core::call::{Reply, Request};
use raito_core::fault::FaultKind;
use raito_core::limits;
use server::{Server, json};
use support::{Broker, broker, call};

fn plain(server: &Server) -> Broker {
    let grant =
        format!("origin: \"http://127.0.0.1:{}\"\nplain-http: true\naddresses: [\"127.0.0.1\"]\nrate: 10000", server.port);
    broker("scheme = \"bearer\"", &grant, &[], &[])
}

#[tokio::test]
async fn a_connector_that_is_refused_without_end_is_answered_nothing_any_more() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let broker = plain(&server);
    let max = usize::try_from(limits::STEP_REFUSALS).expect("a small number");
    let refused = broker.step.call(Request::HttpFetch(call("no-such-entry", "x"))).await;
    assert!(matches!(refused, Reply::Fault(_)), "{refused:?}");
    assert!(broker.list().await.is_ok(), "a few refusals are no reason");
    for _ in 0..=max / 200 {
        broker.step.call(Request::HttpSend(vec![call("no-such-entry", "x"); 200])).await;
    }
    for request in [Request::HttpSend(vec![call("list", "x")]), Request::Now, Request::StateGet("since".into())] {
        let Reply::Fault(fault) = broker.step.call(request).await else { panic!("it is answered") };
        assert!(fault.kind == FaultKind::Denied && fault.message.as_str().contains("1000 calls"), "{fault}");
    }
    let denied = broker.record.of("denied");
    assert_eq!(denied.len(), max + 1, "what is beyond the bound is on record once");
    let last = denied.last().map(|event| event["reason"].clone()).unwrap_or_default();
    assert!(last.as_str().is_some_and(|reason| reason.contains("nothing is answered")), "{last}");
    assert!(broker.step.refusal().is_some(), "it ends a step of changes");
    assert_eq!(server.seen().len(), 1, "nothing left after that");
}
