//! Configurations that people write: the right ones are read, and the wrong ones are explained at the right place.

use raito_config::{CloudChoice, configuration_schema, read_ceiling, read_configuration};
use raito_core::credential::{ClientProof, Credential};
use raito_core::grant::{Grant, Handling, SecretSource, Tls};
use raito_core::manifest::{SettingValue, SlotName};
use raito_core::step::Step;

const WHOLE: &str = r#"
cloud: { url: "https://raito.example.org", token: { env: RAITO_TOKEN }, ca: ca.pem }
targets:
  - name: shop
    connector: { file: connectors/postgresql.wasm, sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad }
    settings: { exclude-schemas: [pg_catalog], columns: true, depth: 3, note: "3", region: "{{REGION}}" }
    grants:
      sql.main:
        url: "postgresql://raito_read@{{HOST}}:5433/"
        databases: [shop, crm]
        password: { env: SHOP_PG_READ }
        tls: verify-ca
        ca: pg.pem
        addresses: [10.1.2.0/24]
        client-certificate: { certificate: reader.pem, key: { file: reader.key } }
        write: { user: raito_write, password: { file: /etc/raito/shop-pg }, login-may: [superuser] }
        calls: [pg_read_file]
        relations: [pg_catalog.pg_db_role_setting]
        login-may: [superuser]
      http.api:
        origin: "http://127.0.0.1:7411"
        addresses: ["127.0.0.1/32"]
        plain-http: true
        write: true
        raw: [free]
        methods: [search]
        rate: 10
        timeout: 30
        ca: api.pem
        client-certificate: { certificate: client.pem, key: { keyring: { service: raito, account: api } } }
        proxy: { url: "http://proxy.internal:3128", addresses: [10.0.0.1], credentials: { env: PROXY } }
        token: { command: [pass, show, demo] }
        client:
          oauth2-client-credentials:
            token-url: "https://login.example.org/oauth2/token"
            addresses: [10.0.0.2]
            ca: login.pem
            client-id: raito
            client-secret: { env: CLIENT_SECRET }
            client-auth: post
            scope: "read:users"
            audience: "https://api.example.org"
            resource: "https://api.example.org"
        signed:
          jwt-bearer: { token-url: "https://login.example.org/token", issuer: "raito@example.org", subject: admin, private-key: { file: key.pem }, key-id: k1 }
        snow: { jwt-key-pair: { account: myorg-account, user: raito, private-key: { file: snow.pem } } }
        aws: { sigv4: { region: "{{REGION}}", service: execute-api, access-key-id: AKIDEXAMPLE, secret-access-key: { env: AWS_SECRET }, session-token: { env: AWS_SESSION } } }
    steps: { identity-store: true, data-source: true, access-from-target: true, access-to-target: true, data-usage: false }
    drift: revert
    break-glass: [postgres, oncall]
    send: { email: hash, display-name: keep, query-text: drop }
    audit: { members: hash }
    thresholds: { remove-percent: 10, remove-count: 5, drop-count: 7 }
"#;

fn variable(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("db.internal".into()),
        "REGION" => Some("eu".into()),
        _ => None,
    }
}

#[test]
fn everything_that_can_be_written_is_read() {
    let configuration = read_configuration(WHOLE, &variable).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert!(matches!(configuration.cloud, CloudChoice::Remote { .. }));
    let target = &configuration.targets[0];
    assert_eq!(target.settings["note"], SettingValue::Text("3".into()), "a quoted number is a text");
    assert_eq!(target.settings["depth"], SettingValue::Integer(3));
    assert_eq!(target.settings["region"], SettingValue::Text("eu".into()));
    assert!(!target.steps.contains(&Step::DataUsage));
    assert_eq!(target.send.email, Handling::Hash);
    let Grant::Sql(sql) = &target.grants[&SlotName::parse("sql.main").expect("a slot")] else { panic!("sql") };
    assert_eq!((sql.server.to_string().as_str(), sql.read.user.as_str()), ("db.internal:5433", "raito_read"));
    assert_eq!(sql.tls, Tls::VerifyCa);
    let Grant::Http(http) = &target.grants[&SlotName::parse("http.api").expect("a slot")] else { panic!("http") };
    let secret = |name: &str| http.secrets.iter().find(|(known, _)| known.as_str() == name).map(|(_, found)| found);
    assert!(matches!(secret("token"), Some(Credential::Secret(SecretSource::Command(words))) if words.len() == 3));
    assert_eq!((target.thresholds.remove_percent, target.thresholds.remove_count, target.drop_count), (10, 5, 7));
    let Some(Credential::ClientCredentials(client)) = secret("client") else { panic!("{http:?}") };
    assert!(matches!(&client.proof, ClientProof::Post(SecretSource::Env(name)) if name == "CLIENT_SECRET"));
    assert_eq!(client.endpoint.url.to_string(), "https://login.example.org/oauth2/token");
    assert!(matches!(secret("signed"), Some(Credential::JwtBearer(asked)) if asked.key.id.as_deref() == Some("k1")));
    assert!(matches!(secret("aws"), Some(Credential::Sigv4(asked)) if asked.region == "eu"));
    let sources: Vec<String> = target.grants.values().flat_map(Grant::sources).map(|(name, _)| name).collect();
    assert_eq!(
        sources,
        [
            "aws.secret-access-key",
            "aws.session-token",
            "client.client-secret",
            "signed.private-key",
            "snow.private-key",
            "token",
            "client-certificate.key",
            "proxy.credentials",
            "password",
            "write.password",
            "client-certificate.key",
        ]
    );
}

/// Keys of the schema, without those of mappings whose names somebody else chooses.
fn keys(schema: &serde_json::Value, found: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::Object(properties)) = members.get("properties") {
                found.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| keys(member, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn the_example_has_every_key_of_the_schema() {
    let mut found = Vec::new();
    keys(&configuration_schema(), &mut found);
    for key in found {
        assert!(
            WHOLE.contains(&format!("{key}:")),
            "{key} is in the schema and not in the example that the reader is tested with"
        );
    }
}

/// Reads a text and gives its mistakes as people see them.
fn mistakes(text: &str) -> Vec<String> {
    let mistakes = read_configuration(text, &variable).expect_err("there is a mistake");
    mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn all_mistakes_are_found_at_once_each_at_its_place() {
    let text = "cloud: embeded\ntargets:\n  - name: shop shop\n    conector: {}\n    drift: revrt\n    steps: { data-usage: maybe }\n";
    assert_eq!(
        mistakes(text),
        [
            "1:8: this is no cloud (write embedded, or { url: https://…, token: { env: RAITO_TOKEN } })",
            "3:9: the key connector is missing (connector: the connector that reads it)",
            "3:11: shop shop: it is not letters, digits, dots, dashes and underscores, beginning with a letter or a digit",
            "4:5: unknown key conector (did you mean connector?)",
            "5:12: revrt is not known here (did you mean revert?)",
            "6:26: true or false is expected here, and there is one value",
        ]
    );
}

/// A target with this grant.
fn with_grant(slot: &str, grant: &str) -> String {
    format!("targets:\n  - name: a\n    connector: {{ file: a.wasm }}\n    grants:\n      {slot}: {grant}\n")
}

#[test]
fn a_secret_never_stands_in_the_file() {
    let one = |slot: &str, grant: &str| mistakes(&with_grant(slot, grant)).join("\n");
    assert!(
        one("sql.main", "{ url: \"postgresql://u@h/\", databases: [d], password: hunter2 }")
            .contains("does not stand in the configuration")
    );
    assert!(
        one("sql.main", "{ url: \"postgresql://u:pw@h/\", databases: [d] }").contains("a password stands in the URL")
    );
    assert!(one("http.api", "{ origin: \"https://u:pw@h\" }").contains("credentials do not stand in a URL"));
    assert!(
        one("sql.main", "{ url: \"postgresql://u@h/\", databases: [d], password: { env: A, file: b } }")
            .contains("comes from one place")
    );
    assert!(one("http.api", "{ origin: \"https://h\", token: abc }").contains("unknown key token"));
}

#[test]
fn no_mistake_repeats_a_secret() {
    let login = "url: \"postgresql://u@h/\", databases: [d]";
    for (slot, grant) in [
        ("sql.main", format!("{{ {login}, password: hunter2 }}")),
        ("sql.main", format!("{{ {login}, password: {{ env: \"hunter2!\" }} }}")),
        ("sql.main", format!("{{ {login}, password: {{ env: A, text: hunter2 }} }}")),
        ("sql.main", format!("{{ {login}, pasword: hunter2 }}")),
        ("sql.main", format!("{{ {login}, \"password=hunter2\": 1 }}")),
        ("sql.main", "{ url: \"postgresql://u:hunter2@h/\", databases: [d] }".to_owned()),
        (
            "sql.main",
            "{ url: \"postgresql://u:hunter2@h/x\", databases: [\"postgresql://u:hunter2@h\", a, a] }".to_owned(),
        ),
        ("\"sql://u:hunter2@h\"", "{}".to_owned()),
        ("http.api", "{ origin: \"https://u:hunter2@h\" }".to_owned()),
        ("http.api", "{ origin: \"https://hunter2@h\" }".to_owned()),
        ("http.api", "{ origin: \"https://h?api_key=hunter2\" }".to_owned()),
        ("http.api", "{ origin: \"https://h/{{SECRET}}%\" }".to_owned()),
        ("http.api", "{ origin: \"https://h\", addresses: [\"https://u:hunter2@h\"] }".to_owned()),
        ("http.api", "{ origin: \"https://h\", token: hunter2 }".to_owned()),
    ] {
        let of_secret = |name: &str| (name == "SECRET").then(|| "hunter2".to_owned());
        let text = with_grant(slot, &grant);
        let said =
            read_configuration(&text, &of_secret).expect_err(&text).iter().map(ToString::to_string).collect::<String>();
        assert!(!said.contains("hunter2"), "{text}: {said}");
    }
}

#[test]
fn the_cloud_is_reached_by_encryption_or_on_this_machine() {
    let with_url = |url: &str| format!("cloud: {{ url: \"{url}\", token: {{ env: A }} }}\ntargets: []\n");
    for url in ["https://cloud.example/raito", "http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"] {
        assert!(read_configuration(&with_url(url), &variable).is_ok(), "{url}");
    }
    for (url, says) in [
        ("http://cloud.example", "not encrypted"),
        ("http://localhost.example", "not encrypted"),
        ("http://localhost:hunter2@cloud.example", "credentials do not stand in a URL"),
        ("https://u:hunter2@cloud.example", "credentials do not stand in a URL"),
        ("cloud.example", "no origin"),
    ] {
        let said = mistakes(&with_url(url)).join("\n");
        assert!(said.contains(says) && !said.contains("hunter2"), "{url}: {said}");
    }
}

#[test]
fn credentials_are_explained() {
    let one = |credential: &str| {
        mistakes(&with_grant("http.api", &format!("{{ origin: \"https://h\", token: {credential} }}"))).join("\n")
    };
    let client = |more: &str| {
        one(&format!("{{ oauth2-client-credentials: {{ token-url: \"https://l/t\", client-id: c{more} }} }}"))
    };
    assert!(client("").contains("proves who it is in one way"));
    assert!(client(", client-secret: { env: A }, private-key: { env: B }").contains("proves who it is in one way"));
    assert!(client(", private-key: { env: B }, client-auth: post").contains("proves who it is in one way"));
    assert!(client(", client-secret: abc").contains("does not stand in the configuration"));
    let plain = "{ jwt-bearer: { token-url: \"http://l/t\", issuer: i, private-key: { env: A } } }";
    assert!(one(plain).contains("the token URL is not encrypted"), "{}", one(plain));
    assert!(one("{ sigv4: { region: r } }").contains("the key secret-access-key is missing"));
    assert!(one("{ env: A, sigv4: {} }").contains("unknown key env"));
    assert!(one("{ keyring: { service: s } }").contains("the key account is missing"));
}

#[test]
fn grants_are_explained() {
    let one = |slot: &str, grant: &str| mistakes(&with_grant(slot, grant)).join("\n");
    assert!(one("sql.main", "{ databases: [d] }").contains("the key url is missing"));
    assert!(one("sql.main", "{ url: \"mysql://u@h/\", databases: [d] }").contains("no URL of a PostgreSQL server"));
    assert!(one("sql.main", "{ url: \"postgresql://u@h/shop\", databases: [d] }").contains("names a database"));
    assert!(one("sql.main", "{ url: \"postgresql://h/\", databases: [d] }").contains("has no user"));
    assert!(one("sql.main", "{ url: \"postgresql://u@h/\", databases: [] }").contains("1 to 1024 databases"));
    assert!(one("sql.main", "{ url: \"postgresql://u@h/\", databases: [d, d] }").contains("stands here twice"));
    assert!(
        one("sql.main", "{ url: \"postgresql://u@h/\", databases: [d], write: true }").contains("a login of its own")
    );
    assert!(one("http.api", "{ origin: \"https://h\", plain_http: true }").contains("unknown key plain_http"));
    assert!(one("http.api", "{ origin: \"https://h\", plian-http: true }").contains("did you mean plain-http?"));
    assert!(
        one("http.api", "{ origin: \"https://h\", addresses: [\"10.0.0.0/99\"] }").contains("no range of addresses")
    );
    assert!(one("sqlmain", "{}").contains("sqlmain is no slot"));
    assert!(one("sql.main", "{ url: \"postgresql://u@{{NOWHERE}}/\", databases: [d] }").contains("NOWHERE is not set"));
}

#[test]
fn c16_a_variable_stays_a_value_whatever_stands_in_it() {
    const HOSTILE: &str = "x\"\n    grants: { http.api: { write: true } }\n  - name: other # {{REGION}}";
    let hostile = |name: &str| (name == "REGION").then(|| HOSTILE.to_owned());
    let text = "targets:\n  - name: a\n    connector: { file: a.wasm }\n    settings: { region: \"{{REGION}}\" }\n    grants: {}\n";
    let configuration = read_configuration(text, &hostile).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let [target] = configuration.targets.as_slice() else { panic!("one target: {:#?}", configuration.targets) };
    assert_eq!(target.settings["region"], SettingValue::Text(HOSTILE.into()), "whole, and not looked into again");
    assert!(target.grants.is_empty());
    // Where a value has a form, what a variable brings must have it too.
    let origin = with_grant("http.api", "{ origin: \"https://{{HOST}}\" }");
    let elsewhere = |name: &str| (name == "HOST").then(|| "good.example@evil.example/path".to_owned());
    assert!(read_configuration(&origin, &elsewhere).is_err(), "no part of an origin but scheme, host and port");
}

#[test]
fn what_is_no_configuration_is_said() {
    assert!(mistakes("- a\n").join("").contains("does not hold keys and values"));
    assert!(mistakes("targets: [\n").join("").contains("not YAML"));
    assert!(mistakes("a: &x 1\n").join("").contains("anchors"));
    assert!(mistakes("targets: []\ntargets: []\n")[0].contains("a second time"));
    assert!(mistakes("cloud: embedded\n").join("").contains("the key targets is missing"));
    assert!(mistakes("").join("").contains("does not hold") || !mistakes("").is_empty());
    let two = "targets:\n  - { name: a, connector: { file: x } }\n  - { name: a, connector: { file: x } }\n";
    assert!(mistakes(two).join("").contains("two targets a"));
}

#[test]
fn a_ceiling_is_read_and_explained() {
    let ceiling =
        read_ceiling("origins: [\"https://a.example\"]\ndatabases: [\"db:5432/*\"]\nwrite: false\nraw: false\n")
            .expect("a ceiling");
    assert!(ceiling.no_write && ceiling.no_raw && ceiling.origins.is_some_and(|origins| origins.len() == 1));
    let mistakes = read_ceiling("writes: false\nconnectors: [abc]\n").expect_err("two mistakes");
    assert_eq!(mistakes.len(), 2, "{mistakes:#?}");
}
