//! Finding what somebody probably meant.

/// The known word that is closest to `given`, where it is close enough to be worth saying.
pub fn closest<'k>(given: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let allowed = (given.chars().count() / 3).max(1);
    known
        .map(|word| (distance(given, word), word))
        .filter(|(distance, word)| *distance <= allowed || word.starts_with(given) && given.len() > 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many insertions, deletions, replacements and swaps of neighbours make one word out of the other (optimal string
/// alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_typing_mistake_is_found_and_a_different_word_is_not() {
        let known = ["databases", "password", "plain-http", "origin"];
        let check = |given, wanted| assert_eq!(closest(given, known.into_iter()), wanted, "{given}");
        check("database", Some("databases"));
        check("pasword", Some("password"));
        check("orgiin", Some("origin"));
        check("plain", Some("plain-http"));
        check("secret", None);
        check("", None);
    }
}
