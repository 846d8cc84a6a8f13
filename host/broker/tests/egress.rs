//! The way out against servers that run: through a proxy, with a certificate, and back without secrets.
#![allow(unreachable_pub, reason = "modules of a test are public to each other")]

#[path = "../../../tests/support/server.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod server;
#[allow(dead_code, reason = "not every test needs all of it")]
mod support;

use std::collections::HashMap;
use std::io::Write as _;

use base64::Engine as _;
use raito_core::call::{Reply, Request};
use raito_core::fault::{Fault, FaultKind};
use server::{Authority, Keep, Proxy, Server, answer, json};
use support::{Broker, broker, call, try_broker};

const TOKEN: &str = "the/token+of \"this\" test";
const BEARER: &str = "scheme = \"bearer\"";

#[tokio::test]
async fn a_proxy_tunnels_and_sees_nothing_of_what_passes() {
    let authority = Authority::new();
    let origin = Server::tls(authority.server("origin.test", false), |_, out| json(out, "{}"));
    let leads = HashMap::from([("origin.test:443".to_owned(), origin.port)]);
    let proxy = Proxy::start(leads.clone(), Some("Basic Y29ycDpwcm94eSBwYXNzd29yZA=="));
    let grant = |port: u16, host: &str, more: &str| {
        format!(
            "origin: \"https://origin.test\"\nca: ca.pem\ntoken: {{ env: A }}\nproxy: {{ url: \"http://{host}:{port}\", \
             credentials: {{ env: B }}{more} }}"
        )
    };
    let secrets = [("token", TOKEN), ("proxy.credentials", "corp:proxy password")];
    let files = [("ca", authority.certificate.as_str())];
    let granted = grant(proxy.port, "localhost", ", addresses: [\"127.0.0.1\"]");
    let through = broker(BEARER, &granted, &secrets, &files);
    assert_eq!(through.list().await.expect("an answer").status, 200);
    assert_eq!(origin.seen()[0].field("authorization"), format!("Bearer {TOKEN}"));
    let asked = proxy.asked();
    assert_eq!((asked.len(), asked[0].line.as_str()), (1, "CONNECT origin.test:443 HTTP/1.1"));
    assert_eq!(asked[0].field("authorization"), "", "the token is not for the proxy");
    assert_eq!(origin.seen()[0].field("proxy-authorization"), "", "the proxy's password is not for the origin");

    let elsewhere = broker(BEARER, &grant(proxy.port, "localhost", ""), &secrets, &files);
    let fault = elsewhere.list().await.expect_err("the policy is about the proxy");
    assert!(fault.kind == FaultKind::Denied && fault.message.as_str().contains("loopback"), "{fault}");
    let refused = try_broker(BEARER, &grant(proxy.port, "127.0.0.1", ""), &secrets, &files).err().expect("an address");
    assert!(refused.to_string().contains("proxy: 127.0.0.1 is a loopback address"), "{refused}");
    assert_eq!(proxy.asked().len(), 1);

    let wrong = [("token", TOKEN), ("proxy.credentials", "corp:another password")];
    let kept_out = broker(BEARER, &granted, &wrong, &files);
    let fault = kept_out.list().await.expect_err("the proxy does not let it in");
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_granted() {
    let authority = Authority::new();
    let server = Server::tls(authority.server("localhost", true), |_, out| json(out, "{}"));
    let (certificate, key) = authority.sign("raito");
    let origin = format!("origin: \"https://localhost:{}\"\naddresses: [\"127.0.0.1\"]\nca: ca.pem\n", server.port);
    let granted = format!("{origin}client-certificate: {{ certificate: c.pem, key: {{ env: K }} }}");
    let files = [("ca", authority.certificate.as_str()), ("client-certificate.certificate", certificate.as_str())];
    let known = broker(BEARER, &granted, &[("client-certificate.key", &key)], &files);
    assert_eq!(known.list().await.expect("an answer").status, 200);
    assert!(server.seen()[0].certified);
    let peer = known.record.of("reply")[0]["peer"].as_str().map(str::len);
    assert_eq!(peer, Some(64), "the server's public key is on record");

    let unknown = broker(BEARER, &origin, &[], &files[..1]);
    let fault = unknown.list().await.expect_err("nobody is let in without a certificate");
    assert!(fault.message.as_str().contains("client-certificate:"), "{fault}");
    let other = Authority::new().sign("raito").1;
    let refused =
        try_broker(BEARER, &granted, &[("client-certificate.key", &other)], &files).err().expect("another key");
    assert!(refused.to_string().contains("client-certificate"), "{refused}");
}

#[tokio::test]
async fn tls_is_checked_against_name_and_authority_and_is_1_2_at_least() {
    let (authority, other) = (Authority::new(), Authority::new());
    let grant = |port: u16| format!("origin: \"https://localhost:{port}\"\naddresses: [\"127.0.0.1\"]\nca: ca.pem");
    for (tls, says) in [
        (authority.server("elsewhere.test", false), "for another name"),
        (other.server("localhost", false), "an authority that is not trusted"),
    ] {
        let server = Server::tls(tls, |_, out| json(out, "{}"));
        let broker = broker(BEARER, &grant(server.port), &[], &[("ca", &authority.certificate)]);
        let fault = broker.list().await.expect_err("it is not who it says");
        assert!(fault.kind == FaultKind::InvalidSetting && fault.message.as_str().contains(says), "{fault}");
        assert!(server.seen().is_empty(), "nothing was asked");
    }
    // A hello of TLS 1.1 as an answer to ours (RFC 4346, section 7.4.1.3).
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a port").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut hello = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
            hello.extend([7; 32]);
            hello.extend([0, 0, 47, 0]);
            let _ = stream.write_all(&hello);
        }
    });
    let old = broker(BEARER, &grant(port), &[], &[("ca", &authority.certificate)]);
    let fault = old.list().await.expect_err("TLS 1.1 is too old");
    assert!(fault.kind == FaultKind::InvalidSetting && fault.message.as_str().contains("TLS failed"), "{fault}");
}

fn plain(server: &Server, more: &str) -> Broker {
    let grant = format!(
        "origin: \"http://127.0.0.1:{}\"\nplain-http: true\naddresses: [\"127.0.0.1\"]\ntoken: {{ env: A }}\n{more}",
        server.port
    );
    broker(BEARER, &grant, &[("token", TOKEN)], &[])
}

/// The token in the forms of an echo.
fn echoes() -> Vec<String> {
    let hex: String = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        TOKEN.to_owned(),
        base64::engine::general_purpose::STANDARD.encode(format!("Bearer {TOKEN}")),
        TOKEN.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        hex.to_uppercase(),
        serde_json::to_string(TOKEN).expect("JSON"),
    ]
}

#[tokio::test]
async fn a_body_that_is_read_in_pieces_gives_nothing_of_a_secret_in_it() {
    for echo in echoes() {
        let sent = echo.clone();
        let server = Server::plain(move |_, out| {
            let whole = format!("{}{sent}{}", "before ".repeat(400), " behind".repeat(400));
            out.write_all(format!("HTTP/1.1 200 ok\r\ncontent-length: {}\r\n\r\n", whole.len()).as_bytes())?;
            // Three bytes at a time, so that the secret comes in many pieces.
            for piece in whole.as_bytes().chunks(3) {
                out.write_all(piece)?;
                out.flush()?;
            }
            Ok(Keep::Open)
        });
        let broker = plain(&server, "");
        let fetched = broker.step.call(Request::HttpFetch(call("list", "x"))).await;
        let Reply::Fetched(_, handle) = fetched else { panic!("{fetched:?}") };
        let mut given = Vec::new();
        let fault = loop {
            match broker.step.call(Request::Next(handle, 64)).await {
                Reply::Bytes(bytes) => given.extend(bytes),
                Reply::Fault(fault) => break fault,
                other => panic!("{other:?}"),
            }
        };
        let given = String::from_utf8(given).expect("ASCII");
        assert!("before ".repeat(400).starts_with(&given), "{echo}: {} of it was given", &given[given.len() - 40..]);
        assert!(fault.message.as_str().contains("an answer to http.api holds the secret token"), "{fault}");
        assert!(broker.step.leaked().is_some());
        assert_eq!(broker.record.of("leak").len(), 1);
        let refused = broker.step.call(Request::Now).await;
        assert!(matches!(refused, Reply::Fault(_)), "nothing is answered after a leak");
    }
}

#[tokio::test]
async fn a_body_without_secrets_arrives_whole() {
    let whole = "caf\u{e9} 100% of \\u0041 ".repeat(50_000);
    let sent = whole.clone();
    let server = Server::plain(move |_, out| answer(out, 200, &[], sent.as_bytes()));
    let broker = plain(&server, "");
    assert_eq!(broker.list().await.expect("an answer").body, whole.as_bytes());
    let fetched = broker.step.call(Request::HttpFetch(call("list", "x"))).await;
    let Reply::Fetched(_, handle) = fetched else { panic!("{fetched:?}") };
    let mut given = Vec::new();
    while let Reply::Bytes(bytes) = broker.step.call(Request::Next(handle, 10_000)).await {
        assert!(bytes.len() <= 10_000);
        given.extend(bytes);
    }
    assert_eq!(given, whole.as_bytes());
}

#[tokio::test]
async fn answers_that_come_together_share_the_room_of_one() {
    let body = vec![b'x'; 15 << 20];
    let server = Server::plain(move |_, out| answer(out, 200, &[], &body));
    let broker = plain(&server, "");
    let reply = broker.step.call(Request::HttpSend(vec![call("list", "x"); 40])).await;
    let Reply::Sent(done) = reply else { panic!("{reply:?}") };
    let (given, refused): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
    let bytes: usize = given.into_iter().flatten().flat_map(|done| done.reply).map(|reply| reply.body.len()).sum();
    assert_eq!((bytes, refused.len()), (30 << 20, 38), "two of them fit, whichever they are");
    for fault in refused.iter().filter_map(|done| done.as_ref().err()) {
        assert!(fault.kind == FaultKind::Denied && fault.message.as_str().contains("send fewer at once"), "{fault}");
    }
    let replies = broker.record.of("reply");
    let denied = replies.iter().filter(|reply| reply["status"] == "denied").count();
    assert_eq!((replies.len(), denied), (40, 38), "each of them is on record");
    assert!(broker.list().await.is_ok(), "the next request has room again");
}

#[tokio::test]
async fn a_secret_in_a_header_or_in_a_whole_body_is_withheld() {
    for echo in echoes() {
        let in_field = echo.clone();
        let field = Server::plain(move |_, out| answer(out, 200, &[("x-echo", &in_field)], b"{}"));
        let body = Server::plain(move |_, out| answer(out, 500, &[], format!("you sent {echo}").as_bytes()));
        for server in [field, body] {
            let broker = plain(&server, "");
            let fault = broker.list().await.expect_err("it holds the token");
            assert_eq!(fault.kind, FaultKind::Denied);
            assert!(fault.message.as_str().contains("holds the secret token"), "{fault}");
            assert!(broker.step.leaked().is_some_and(|said| !said.contains(TOKEN)));
            assert!(!broker.record.text().contains("this\\\" test"), "nor does the record have it");
        }
    }
}

#[tokio::test]
async fn what_a_connector_says_is_searched_too() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let broker = plain(&server, "");
    let fields = vec![("seen".to_owned(), base64::engine::general_purpose::URL_SAFE.encode(TOKEN))];
    let log = Request::Log(raito_core::call::LogLevel::Info, "look".into(), fields);
    assert!(matches!(broker.step.call(log).await, Reply::Fault(_)));
    assert!(broker.step.leaked().is_some_and(|said| said.contains("a log message of the connector")));
}

#[tokio::test]
async fn a_compressed_answer_is_refused() {
    let server = Server::plain(|_, out| answer(out, 200, &[("content-encoding", "gzip")], &[0x1f, 0x8b, 8, 0]));
    let fault = plain(&server, "").list().await.expect_err("nothing is unpacked");
    assert!(fault.kind == FaultKind::Denied && fault.message.as_str().contains("compressed (gzip)"), "{fault}");
    assert_eq!(server.seen()[0].field("accept-encoding"), "identity");
}

#[tokio::test]
async fn an_answer_that_is_coded_on_its_way_is_refused() {
    for coding in ["gzip, chunked", "gzip", "deflate,chunked", "chunked, gzip", "identity, br, chunked"] {
        let server = Server::plain(move |_, out| {
            out.write_all(format!("HTTP/1.1 200 ok\r\ntransfer-encoding: {coding}\r\n\r\n").as_bytes())?;
            out.write_all(b"2\r\n\x1f\x8b\r\n0\r\n\r\n")?;
            Ok(Keep::Closed)
        });
        let result = plain(&server, "").list().await;
        let says = format!("compressed ({coding})");
        let refused = |fault: &Fault| fault.kind == FaultKind::Denied && fault.message.as_str().contains(&says);
        assert!(result.as_ref().is_err_and(refused), "{coding}: {result:?}");
    }
    let server = Server::plain(move |_, out| {
        out.write_all(b"HTTP/1.1 200 ok\r\ntransfer-encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")?;
        Ok(Keep::Open)
    });
    assert_eq!(plain(&server, "").list().await.expect("what is only chunked").body, b"{}");
}

#[tokio::test]
async fn the_password_of_a_proxy_is_a_secret_of_its_own() {
    let server = Server::plain(|_, out| json(out, "{\"you\":\"know the proxy password by heart\"}"));
    let authority = Authority::new();
    let origin = Server::tls(authority.server("origin.test", false), |_, out| {
        json(out, "{\"you\":\"know the proxy password by heart\"}")
    });
    let leads = HashMap::from([("origin.test:443".to_owned(), origin.port)]);
    let proxy = Proxy::start(leads, None);
    let grant = format!(
        "origin: \"https://origin.test\"\nca: ca.pem\nproxy: {{ url: \"http://localhost:{}\", credentials: {{ env: B }}, \
         addresses: [\"127.0.0.1\"] }}",
        proxy.port
    );
    let files = [("ca", authority.certificate.as_str())];
    let broker = broker(BEARER, &grant, &[("proxy.credentials", "corp:the proxy password")], &files);
    let fault = broker.list().await.expect_err("it holds the password");
    assert!(fault.message.as_str().contains("proxy.credentials (password)"), "{fault}");
    assert!(plain(&server, "").list().await.is_ok(), "elsewhere it is no secret");
}

#[tokio::test]
async fn an_exchange_takes_no_longer_than_granted() {
    let server = Server::plain(|_, out| {
        out.write_all(b"HTTP/1.1 200 ok\r\ncontent-length: 1000\r\n\r\n")?;
        loop {
            out.write_all(b"x")?;
            out.flush()?;
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    let broker = plain(&server, "timeout: 1");
    let fault = broker.send("search", "x").await.expect_err("it never ends");
    assert!(fault.kind == FaultKind::Unavailable && fault.message.as_str().contains("comes too slowly"), "{fault}");
    assert_eq!(server.seen().len(), 1, "what may have changed something is not sent again");
}

/// The numbers of a query `q=FROM-TO`.
fn asked(seen: &server::Seen) -> (usize, usize) {
    let between = seen.line.split("q=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    let (from, to) = between.split_once('-').expect("two numbers");
    (from.parse().expect("a number"), to.parse().expect("a number"))
}

/// How a target hands out a part of what it was sent.
type HandsOut = fn(&mut dyn std::io::Write, &str) -> std::io::Result<Keep>;

/// Asks for an echo in pieces with these borders, and says after how many the step had failed.
async fn pieces(broker: &Broker, borders: &[usize], is_read: bool) -> Option<usize> {
    for (index, pair) in borders.windows(2).enumerate() {
        let q = format!("{}-{}", pair[0], pair[1]);
        let failed = if is_read {
            let fetched = broker.step.call(Request::HttpFetch(call("list", &q))).await;
            let Reply::Fetched(_, handle) = fetched else { return Some(index) };
            loop {
                match broker.step.call(Request::Next(handle, 2)).await {
                    Reply::Bytes(_) => {}
                    Reply::End => break false,
                    _ => break true,
                }
            }
        } else {
            broker.send("list", &q).await.is_err()
        };
        if failed {
            let said = broker.step.leaked().expect("it failed for a secret");
            assert!(said.contains("together with those before it") && said.contains("the secret token"), "{said}");
            assert_eq!(broker.record.of("leak").len(), 1);
            return Some(index);
        }
    }
    None
}

#[tokio::test]
async fn a_secret_that_comes_in_pieces_is_found_in_its_last_one() {
    let hands_out: [HandsOut; 4] = [
        |out, part| answer(out, 200, &[("content-type", "text/plain")], part.as_bytes()),
        |out, part| answer(out, 200, &[("x-part", part)], b"{}"),
        |out, part| json(out, &serde_json::json!({ "part": part, "of": "an echo", "number": 7 }).to_string()),
        |out, part| json(out, &serde_json::json!([{ "id": 1, "parts": [part] }, { "id": 2 }]).to_string()),
    ];
    let mut echoes = echoes();
    // Of the secret alone, so that each of its characters matters.
    echoes[1] = base64::engine::general_purpose::STANDARD.encode(TOKEN);
    for (index, hand_out) in hands_out.into_iter().enumerate() {
        // A blank at either end of a header field is no part of it.
        let is_apt = |echo: &&String| index != 1 || !echo.contains(' ');
        for echo in echoes.iter().filter(is_apt).map(|echo| echo.trim_matches('"').to_owned()) {
            let whole = echo.clone();
            let server = Server::plain(move |seen, out| {
                let (from, to) = asked(seen);
                hand_out(out, &whole[from..to])
            });
            let end = echo.len();
            for borders in [vec![0, 1, end], vec![0, end - 1, end], vec![0, end / 5, end / 4, end / 3, end / 2, end]] {
                // A header field is not read in pieces.
                for is_read in if index == 1 { vec![false] } else { vec![false, true] } {
                    let failed = pieces(&plain(&server, ""), &borders, is_read).await;
                    assert_eq!(failed, Some(borders.len() - 2), "{index} {echo} {borders:?} {is_read}");
                }
            }
        }
    }
}

#[tokio::test]
async fn pieces_over_two_entries_two_steps_and_one_list_are_found() {
    let server = Server::plain(|seen, out| {
        if seen.line.starts_with("POST") {
            return answer(out, 200, &[], TOKEN.get(8..).unwrap_or_default().as_bytes());
        }
        answer(out, 200, &[], &TOKEN.as_bytes()[..8])
    });
    let mut broker = plain(&server, "");
    assert!(broker.list().await.is_ok());
    broker.next_step(raito_core::step::Step::DataSource).await;
    assert!(broker.send("search", "x").await.is_err(), "another entry, and another step");
    let broker = plain(&server, "");
    let reply = broker.step.call(Request::HttpSend(vec![call("list", "x"), call("search", "x")])).await;
    assert!(matches!(reply, Reply::Fault(_)) && broker.step.leaked().is_some(), "{reply:?}");
}

#[tokio::test]
async fn pieces_in_another_order_or_with_something_between_them_are_not_found() {
    let server = Server::plain(|seen, out| {
        let (from, to) = asked(seen);
        answer(out, 200, &[], &TOKEN.as_bytes()[from..to])
    });
    let end = TOKEN.len();
    let broker = plain(&server, "");
    for q in [format!("8-{end}"), "0-8".to_owned()] {
        assert!(broker.send("list", &q).await.is_ok(), "the second half first");
    }
    let broker = plain(&server, "");
    for q in ["0-8".to_owned(), "0-1".to_owned(), format!("8-{end}")] {
        assert!(broker.send("list", &q).await.is_ok(), "something else in between");
    }
}

#[tokio::test]
async fn an_answer_that_is_a_part_or_cannot_be_searched_is_refused() {
    let of_bytes = ("content-range", "bytes 0-4/20");
    let typed = |value: &'static str| ("content-type", value);
    for (status, field, says) in [
        (206, of_bytes, "a part of a resource (status 206)"),
        (206, typed("multipart/byteranges; boundary=x"), "status 206"),
        (416, of_bytes, "status 416"),
        (226, ("im", "diffe"), "status 226"),
        (200, of_bytes, "content-range"),
        (200, ("im", "range"), "field im"),
        (200, ("delta-base", "\"1\""), "field delta-base"),
        (200, typed("multipart/byteranges; boundary=x"), "multipart/byteranges"),
        (200, typed("text/plain; charset=utf-16"), "utf-16"),
        (200, typed("text/html;x=1; Charset=\"UTF-7\""), "utf-7"),
        (404, typed("text/plain; charset=IBM037"), "ibm037"),
    ] {
        let server = Server::plain(move |_, out| answer(out, status, &[field], b"a pie"));
        let broker = plain(&server, "");
        let fault = broker.list().await.expect_err("it is not given on");
        assert!(fault.kind == FaultKind::Denied && fault.message.as_str().contains(says), "{field:?}: {fault}");
        assert_eq!(server.seen().len(), 1, "and not asked for again");
    }
    for value in [
        "application/json",
        "text/plain; charset=UTF-8",
        "text/html; charset=\"iso-8859-1\"",
        "text/csv; charset=us-ascii",
    ] {
        let server = Server::plain(move |_, out| answer(out, 200, &[("content-type", value)], b"{}"));
        assert!(plain(&server, "").list().await.is_ok(), "{value}");
    }
}
