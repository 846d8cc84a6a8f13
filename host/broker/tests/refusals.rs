//! What is refused, and what of it is on record.
#![allow(unreachable_pub, reason = "modules of a test are public to each other")]

#[path = "../../../tests/support/server.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod server;
#[allow(dead_code, reason = "not every test needs all of it")]
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use raito_core::call::{Argument, Call, Reply, Request, Value};
use raito_core::fault::FaultKind;
use raito_core::limits;
use raito_core::plan::RecordedCall;
use raito_core::ports::Writes;
use raito_core::record::{Change, ChangeSet};
use raito_core::step::Step;
use raito_core::text::{ExternalId, Kind, Name, Remark};
use raito_core::warrant::{Names, Warrants};
use server::{Server, json};
use support::{Broker, Probe, broker, call};

/// A broker of step 4 for one change: another name for a control.
fn renaming(server: &Server, to: &str, plan: &[Call]) -> Broker {
    let name = |text: &str| Name::new(text).expect("a name");
    let set = ChangeSet {
        id: name("c1"),
        external_id: Some(ExternalId::new("r1").expect("an id")),
        actual_name: name("readers"),
        name: name("Readers"),
        description: Remark::new("").expect("a remark"),
        kind: Kind::new("role").expect("a kind"),
        object: None,
        version: None,
        entries: None,
        changes: vec![Change::Rename(name(to))],
    };
    let warrants = Arc::new(Warrants::of(&[set], &Names::default()));
    let plan: Vec<_> = plan.iter().map(|call| RecordedCall::new(call, None, 0, String::new(), String::new())).collect();
    let manifest = "[http.api]\n[http.api.routes.rename]\nmode = \"write\"\ndoes = \"rename\"\n\
                    request = \"POST /v1/roles/{role:text@control}\"\nbody = '{\"name\":{q:text@name}}'\n";
    let grant = format!(
        "origin: \"http://127.0.0.1:{}\"\nplain-http: true\naddresses: [\"127.0.0.1\"]\nwrite: true",
        server.port
    );
    let (step, writes) = (Step::AccessToTarget, Writes::Sent(warrants, plan.into()));
    let probe = Probe { slot: "http.api", manifest, grant: &grant, secrets: &[], files: &[], step, writes };
    probe.open().unwrap_or_else(|error| panic!("{error}"))
}

fn rename(to: &str) -> Call {
    let role = Argument { name: "role".into(), value: Value::Text("r1".into()) };
    let mut call = call("rename", to);
    call.arguments.push(role);
    call
}

#[tokio::test]
async fn a_write_that_was_not_planned_is_refused_and_is_no_call_on_record() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let planned = renaming(&server, "writers", &[rename("writers")]);
    let Reply::Sent(done) = planned.step.call(Request::HttpSend(vec![rename("writers")])).await else { panic!("sent") };
    assert!(done[0].is_ok(), "{done:?}");
    assert_eq!((planned.record.of("call").len(), planned.record.of("reply").len()), (1, 1));

    let other = renaming(&server, "writers", &[rename("others")]);
    let Reply::Sent(done) = other.step.call(Request::HttpSend(vec![rename("writers")])).await else { panic!("sent") };
    assert!(done[0].as_ref().is_err_and(|fault| fault.message.as_str().contains("not the planned one")), "{done:?}");
    assert_eq!((other.record.of("denied").len(), other.record.of("call").len()), (1, 0), "it was not sent");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_is_opened_beyond_the_bound_is_refused_and_every_call_has_its_reply() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let broker = plain(&server);
    for _ in 0..limits::OPEN_HANDLES {
        let reply = broker.step.call(Request::HttpFetch(call("list", "x"))).await;
        assert!(matches!(reply, Reply::Fetched(..)), "{reply:?}");
    }
    let reply = broker.step.call(Request::HttpFetch(call("list", "x"))).await;
    assert!(matches!(&reply, Reply::Fault(fault) if fault.kind == FaultKind::Denied), "{reply:?}");
    assert_eq!(broker.record.of("denied").len(), 1);
    assert_eq!(broker.record.of("reply").len(), 1, "of the one that is not open");
    broker.step.close().await;
    let numbers =
        |kind: &str| broker.record.of(kind).iter().map(|event| event["call"].as_u64()).collect::<BTreeSet<_>>();
    assert_eq!(numbers("call").len(), limits::OPEN_HANDLES + 1);
    assert_eq!(numbers("call"), numbers("reply"), "every call has what came of it");
}

fn plain(server: &Server) -> Broker {
    let grant = format!(
        "origin: \"http://127.0.0.1:{}\"\nplain-http: true\naddresses: [\"127.0.0.1\"]\nrate: 10000",
        server.port
    );
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
