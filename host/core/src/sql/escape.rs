//! Escapes of `E'…'` literals (PostgreSQL manual, section 4.1.2.2).

/// Whether the inside of a literal, with its parts put together and without its quotes, is one that the
/// server takes: its escapes are complete, and what they stand for is UTF-8 without zero bytes.
pub(super) fn is_valid(inside: &[u8]) -> bool {
    let mut bytes: Vec<u8> = Vec::with_capacity(inside.len());
    let mut high = None;
    let mut at = 0;
    while let Some(byte) = inside.get(at).copied() {
        let escape = (byte == b'\\').then(|| inside.get(at + 1).copied()).flatten();
        let unicode = match escape {
            Some(b'u') => Some(4),
            Some(b'U') => Some(8),
            _ => None,
        };
        if let Some(digits) = unicode {
            let Some(code) = number(inside.get(at + 2..at + 2 + digits), 16) else { return false };
            at += 2 + digits;
            let code = match (high.take(), code) {
                (None, 0xd800..=0xdbff) => {
                    high = Some(code);
                    continue;
                }
                (Some(high), 0xdc00..=0xdfff) => 0x1_0000 + ((high & 0x3ff) << 10) + (code & 0x3ff),
                (None, code) => code,
                (Some(_), _) => return false,
            };
            let Some(character) = char::from_u32(code).filter(|character| *character != '\0') else { return false };
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        if high.is_some() {
            return false;
        }
        let (value, length) = match escape {
            Some(b'0'..=b'7') => byte_of(&inside[at + 1..], 3, 8, 1),
            Some(b'x') if inside.get(at + 2).is_some_and(u8::is_ascii_hexdigit) => byte_of(&inside[at + 2..], 2, 16, 2),
            Some(other) => (other, 2),
            None => (byte, 1),
        };
        bytes.push(value);
        at += length;
    }
    high.is_none() && !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok()
}

/// The byte that up to `most` digits stand for, and how long the escape is with the bytes `before` them.
fn byte_of(text: &[u8], most: usize, radix: u32, before: usize) -> (u8, usize) {
    let digits = text.iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix)).count();
    let value = number(text.get(..digits), radix).unwrap_or_default();
    // Three octal digits can say more than a byte holds; the server takes the lower bits.
    ((value & 0xff) as u8, before + digits)
}

fn number(digits: Option<&[u8]>, radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(digits?).ok()?;
    // No sign, which `from_str_radix` would take.
    text.chars().all(|digit| digit.is_digit(radix)).then(|| u32::from_str_radix(text, radix).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_complete_and_stand_for_text() {
        for inside in
            [r"a\'", r"\141\x41\u0041\U00000041", r"\xg\q\\", r"\303\244", r"\xc3\xa4", r"\ud83d\ude00", "ä", r"\1"]
        {
            assert!(is_valid(inside.as_bytes()), "{inside}");
        }
        for inside in [
            r"\0",
            r"\000",
            r"\x0",
            r"\u0000",
            r"\u12",
            r"\uzzzz",
            r"\ud83d",
            r"\ud83da",
            r"\ude00",
            r"\xff",
            r"\400",
            r"\U00110000",
        ] {
            assert!(!is_valid(inside.as_bytes()), "{inside}");
        }
    }
}
