//! Hiding what a value of a file may hold of a secret, before anybody quotes it.
//!
//! A secret does not stand in a file, so wherever one does, the file is wrong, and the error is
//! about just that line. The search for known secrets is of no help there: nobody knows this one.
//! So it is decided by where a value stands.

/// The text in place of a hidden one. It says nothing of how long that is.
pub(crate) const HIDDEN: &str = "***";

/// Words in names of what is secret.
const SECRET_WORDS: [&str; 12] = [
    "pass",
    "pwd",
    "secret",
    "token",
    "credential",
    "private",
    "apikey",
    "api-key",
    "api_key",
    "access-key",
    "access_key",
    "signature",
];

/// Whether the name of a key or parameter says that its value is secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// The value without what is secret in it: who logs in with which password in a URL, parameters
/// with a name that says it, and what stands behind the scheme of an `Authorization` field.
pub fn quotable(value: &str) -> String {
    let value = without_userinfo(value);
    let value = without_pairs(&value);
    let value = without_scheme(&value);
    if value.contains("-----BEGIN") { HIDDEN.to_owned() } else { value }
}

/// Hides the password of a URL, or all that stands there where only databases take a name alone.
fn without_userinfo(value: &str) -> String {
    let Some((before, rest)) = value.split_once("://") else { return value.to_owned() };
    // A password that nobody encoded may hold any character, so its end is the last `@` that there
    // is.
    let Some((userinfo, host)) = rest.rsplit_once('@') else { return value.to_owned() };
    let scheme = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let names_a_login = ["postgresql", "postgres", "ldap", "ldaps", "mysql"].contains(&scheme);
    let shown = match userinfo.split_once(':') {
        Some((user, _)) if names_a_login => format!("{user}:{HIDDEN}"),
        None if names_a_login && !userinfo.contains('/') => userinfo.to_owned(),
        _ => HIDDEN.to_owned(),
    };
    format!("{before}://{shown}@{host}")
}

/// Hides the values of `name=value` where the name says that they are secret.
fn without_pairs(value: &str) -> String {
    let mut shown = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit(|c: char| c.is_whitespace() || matches!(c, '?' | '&' | ';' | ',' | '"' | '\'')).next();
        shown.push_str(before);
        shown.push('=');
        rest = after;
        if name.is_some_and(is_secret_name) {
            let end = after.find(['&', ';', '\n']).unwrap_or(after.len());
            shown.push_str(HIDDEN);
            rest = &after[end..];
        }
    }
    shown.push_str(rest);
    shown
}

/// Hides what stands behind `Bearer` and `Basic`.
fn without_scheme(value: &str) -> String {
    let lower = value.to_ascii_lowercase();
    let found = ["bearer ", "basic "].into_iter().filter_map(|scheme| Some(lower.find(scheme)? + scheme.len())).min();
    found.map_or_else(|| value.to_owned(), |end| format!("{}{HIDDEN}", &value[..end]))
}

/// Whether a text is the name of an environment variable as everybody writes them, and not a secret
/// in the wrong place.
pub fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_uppercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_part_of_a_value_is_hidden_and_no_more() {
        for (value, shown) in [
            ("postgresql://user:hunter2@host/", "postgresql://user:***@host/"),
            ("postgresql://user:p@ss/w:rd @host:5432/", "postgresql://user:***@host:5432/"),
            ("postgresql://raito_read@db.internal:5432/", "postgresql://raito_read@db.internal:5432/"),
            ("https://hunter2@host/", "https://***@host/"),
            ("https://host/?token=hunter2&x=1", "https://host/?token=***&x=1"),
            ("host=db password=hunter2", "host=db password=***"),
            ("Authorization: Bearer hunter2", "Authorization: Bearer ***"),
            ("-----BEGIN PRIVATE KEY----- hunter2", "***"),
            ("https://example.okta.com", "https://example.okta.com"),
            ("a@b.org", "a@b.org"),
            ("a=b, c", "a=b, c"),
        ] {
            assert_eq!(quotable(value), shown);
        }
    }

    #[test]
    fn a_variable_is_told_from_a_secret() {
        assert!(is_variable("SHOP_PASSWORD") && is_variable("_X1"));
        for secret in ["hunter2", "Hunter", "", "9A", "A B", "A-B"] {
            assert!(!is_variable(secret), "{secret}");
        }
    }
}
