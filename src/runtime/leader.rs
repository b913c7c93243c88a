//! Whether this process may write. Checked where a write leaves, not where it was decided.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The right to write, shared by everything that writes to AWS. A single replica always has it.
#[derive(Clone, Debug)]
pub struct Leadership(Arc<AtomicBool>);

impl Leadership {
    pub fn always() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub fn holds(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Given up for good: nothing that was admitted before is sent any more.
    pub fn resign(&self) {
        self.0.store(false, Ordering::Release);
    }
}
