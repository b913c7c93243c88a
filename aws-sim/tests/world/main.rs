//! The simulator's behaviour, as a caller sees it: requests in, answers out. A file per subject.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

mod client;
mod connector;
mod controls;
mod document;
mod faults;
mod identity;
mod reads;
mod settings;
mod socket;
mod would;
