//! The operator as people run it: the real program, a real API server, and AWS over a socket. Only what the wire may
//! change is tested here; every scenario on its own is in `tests/sim`. One control plane and one operator serve most tests
//! at once, each with accounts and namespaces of its own; tests that end processes take turns on a second control plane.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod accounts;
mod caches;
mod deletion;
mod kubernetes;
mod lab;
mod memory;
mod owners;
mod server;
mod starts;
mod table;
