//! One hash for everything that has to be recognised later: SHA-256, written as lower-case base32, which a Sid may
//! hold (aws-facts B.6). Never change it: Sids in AWS and fingerprints in status were made with it.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

/// The first 128 bits of the hash of `text`, as 26 characters of `[a-z2-7]`.
pub(crate) fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    BASE32_NOPAD.encode(&hash[..16]).to_ascii_lowercase()
}

/// Whether `text` could have come from [`digest`].
pub(crate) fn is_digest(text: &str) -> bool {
    let shape = text.len() == 26 && text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b));
    shape && BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).is_ok()
}
