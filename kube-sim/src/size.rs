//! How large a request and an object may be: kube-apiserver limits the one, etcd the other.

use std::io;

use serde_json::Value;

use crate::refusal::Refusal;
use crate::store::{Key, Store};

/// The largest body of a request, in bytes.
pub(crate) const LARGEST_BODY: usize = 3 * 1024 * 1024;
/// The largest request etcd takes, in bytes.
pub(crate) const LARGEST_REQUEST: usize = 1536 * 1024;
/// What etcd is sent beside an object: its key so many times, and so many bytes at most.
const KEYS_IN_REQUEST: usize = 3;
const REQUEST_AROUND: usize = 64;
/// The largest request that kube-apiserver sends to etcd at all, in bytes.
const LARGEST_MESSAGE: usize = 2 * 1024 * 1024;

impl Store {
    /// Refuses an object that etcd would not take.
    pub(crate) fn check_size(&self, key: &Key, object: &Value) -> Result<(), Refusal> {
        let size = stored_size(object) + REQUEST_AROUND + KEYS_IN_REQUEST * key.path().len();
        if size <= self.largest_request {
            return Ok(());
        }
        Err(if size > LARGEST_MESSAGE {
            Refusal::message_too_large(size, LARGEST_MESSAGE)
        } else {
            Refusal::request_too_large()
        })
    }
}

/// The bytes of an object in etcd.
fn stored_size(object: &Value) -> usize {
    let mut counter = Counter(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut counter, object);
    counter.0
}

/// Counts what is written to it. Go writes some characters as `\u003c`, which serde_json writes as they are.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const ESCAPED: usize = "\\u003c".len();
        let escaped = bytes.iter().filter(|byte| matches!(byte, b'<' | b'>' | b'&')).count();
        self.0 += bytes.len() + escaped * (ESCAPED - 1);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
