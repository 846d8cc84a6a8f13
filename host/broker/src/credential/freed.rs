//! What is freed holds no secret: an allocator that looks at memory when it goes. For tests only.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Looked for in what this thread frees. Of a longer one, only the end would be what it is recognised by.
const SECRET: &str = "zQ7-the-canary-of-this-test & 100%, all of it/+";

thread_local! {
    /// How often it was freed; none while nobody looks.
    static FREED: Cell<Option<u32>> = const { Cell::new(None) };
}

struct Looking;

#[global_allocator]
static ALLOCATOR: Looking = Looking;

// SAFETY: all memory is the system's. It is zeroed when it is given out, so all of it may be read when it comes back. Growing is
// left to the trait, which takes new memory and gives back the old.
unsafe impl GlobalAlloc for Looking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to what `alloc` asks, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // A thread that ends frees as well, when there is nothing to count with any more.
        let counted = FREED.try_with(Cell::get).ok().flatten();
        if let Some(count) = counted {
            // SAFETY: the memory has this size, and nobody else has it any more.
            let bytes = unsafe { std::slice::from_raw_parts(memory, layout.size()) };
            // The first part tells as much as all of it: what grows leaves beginnings.
            let part = &SECRET.as_bytes()[..16];
            if bytes.windows(part.len()).any(|window| window == part) {
                let _ = FREED.try_with(|freed| freed.set(Some(count + 1)));
            }
        }
        // SAFETY: it was given out by the same allocator with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// How many pieces of memory with the secret something frees.
fn freed(act: impl FnOnce()) -> u32 {
    FREED.set(Some(0));
    act();
    FREED.take().unwrap_or_default()
}

mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use raito_core::grant::{Grant, HttpGrant};
    use raito_core::leak::Watch;
    use raito_core::manifest::{Manifest, SecretSlot, SlotKind, SlotName};
    use raito_core::ports::Clock;
    use raito_core::secret::Secret;
    use raito_core::text::Ident;

    use super::super::token::Exchange;
    use super::super::{Credentials, Surroundings};
    use super::*;
    use crate::target::SlotMaterial;

    struct Fixed;

    impl Clock for Fixed {
        fn now_ms(&self) -> u64 {
            1_767_225_600_000
        }
    }

    /// A slot that asks for a secret under a scheme, and the grant for it.
    fn slot(scheme: &str, grant: &str) -> (BTreeMap<Ident, SecretSlot>, HttpGrant) {
        let text = format!(
            "name = \"probe\"\nversion = \"1.0.0\"\nsummary = \"Asks\"\n[http.api]\n[http.api.secrets.token]\n{scheme}\n\
             [http.api.routes.list]\nmode = \"read\"\nrequest = \"GET /\"\n"
        );
        let mut manifest = Manifest::parse(&text).unwrap_or_else(|errors| panic!("{errors:?}"));
        let name = SlotName::parse("http.api").expect("a slot");
        let Some(SlotKind::Http { secrets, .. }) = manifest.slots.remove(&name).map(|slot| slot.kind) else {
            panic!("HTTP")
        };
        let text = format!(
            "targets:\n  - name: probe\n    connector: {{ file: probe.wasm }}\n    grants:\n      http.api:\n        origin: \
             \"https://origin.test\"\n        token: {grant}\n"
        );
        let configuration = raito_config::read_configuration(&text, &|_| None);
        let mut configuration = configuration.unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let Some(Grant::Http(grant)) = configuration.targets[0].grants.remove(&name) else { panic!("HTTP") };
        (secrets, grant)
    }

    fn secret() -> Secret {
        Secret::new(SECRET.to_owned()).expect("a secret")
    }

    #[test]
    fn memory_that_held_a_secret_is_overwritten_before_it_is_freed() {
        assert_eq!(freed(|| drop(vec![SECRET.to_owned()])), 1, "the allocator looks");
        assert_eq!(freed(|| drop(secret())), 0);
        assert_eq!(
            freed(|| {
                Watch::default().add("token", &secret());
            }),
            0,
            "what it is recognised by"
        );
        for (scheme, grant, part) in [
            ("scheme = \"bearer\"", "{ env: A }", "token"),
            ("scheme = \"basic\"", "{ env: A }", "token"),
            ("scheme = \"header\"\nheader = \"X-Token: Token {secret} of this\"", "{ env: A }", "token"),
            (
                "scheme = \"sigv4\"",
                "{ sigv4: { region: r, service: s, access-key-id: a, secret-access-key: { env: A } } }",
                "token.secret-access-key",
            ),
        ] {
            let (asked, grant) = slot(scheme, grant);
            let freed = freed(|| {
                let around = Surroundings { watch: Arc::default(), clock: Arc::new(Fixed), place: "probe".into() };
                let secrets = BTreeMap::from([(part.to_owned(), secret())]);
                let material = SlotMaterial { secrets, files: BTreeMap::new() };
                let credentials = Credentials::new(&asked, &grant, &material, &around).expect("credentials");
                let url = "https://origin.test/".parse().expect("a URL");
                let mut request = reqwest::Request::new(reqwest::Method::GET, url);
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                runtime.block_on(credentials.put_in(&mut request, &|_, _| Ok(()))).expect("put in");
                assert!(request.headers().values().any(|value| !value.is_empty()));
            });
            assert_eq!(freed, 0, "{scheme}");
        }
    }

    #[test]
    fn memory_that_held_the_request_for_a_token_is_overwritten_before_it_is_freed() {
        for proof in ["basic", "post"] {
            let grant = format!(
                "{{ oauth2-client-credentials: {{ token-url: \"https://origin.test/t\", client-id: raito, client-secret: {{ env: A \
                 }}, client-auth: {proof} }} }}"
            );
            let (_, grant) = slot("scheme = \"oauth2-client-credentials\"", &grant);
            let credential = grant.secrets.values().next().expect("one");
            let freed = freed(|| {
                let secret = secret();
                let exchange = Exchange::new(credential, |_| Ok(&secret)).unwrap_or_else(|error| panic!("{error}"));
                let watch = Watch::default();
                exchange.sent_forms().expect("short").iter().for_each(|(name, form)| {
                    watch.add(name, form);
                });
                let (form, field) = exchange.request(1_767_225_600, &watch, "token").expect("a request");
                assert_ne!(form.contains("client_secret"), field.is_some());
                drop(reqwest::Body::from(bytes::Bytes::from_owner(form)));
            });
            assert_eq!(freed, 0, "{proof}");
        }
    }
}
