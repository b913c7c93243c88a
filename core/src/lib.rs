//! What decides, and nothing else: the custom resources, the IAM policy language, and the pure half of a pass.
//! No I/O, no clock, no randomness and no order that differs from run to run: the compiler checks the first
//! (no tokio, hyper or AWS crate is a dependency), clippy.toml the rest.

pub mod api;
#[cfg(feature = "cel")]
pub mod check;
pub mod consent;
pub mod kinds;
pub mod names;
pub mod ownership;
pub mod pass;
pub mod policy;
pub mod reason;
pub mod shares;
