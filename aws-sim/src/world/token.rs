//! Tokens of paginated lists: the key after which the next page begins, as hexadecimal digits. Clients must not look.

/// The token that goes on after a key.
pub(crate) fn write(key: &str) -> String {
    key.bytes().flat_map(|b| [b >> 4, b & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// The key of a token; `None` if it is none of ours.
pub(crate) fn read(token: &str) -> Option<String> {
    let byte = |at: usize| u8::from_str_radix(token.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..token.len()).step_by(2).map(byte).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn tokens_hold_their_key_and_others_are_none() {
        assert_eq!(read(&write("team-a/ü")).unwrap(), "team-a/ü");
        for token in ["x", "zz", "ff"] {
            assert_eq!(read(token), None, "{token}");
        }
    }
}
