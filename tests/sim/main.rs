//! The operator on virtual time: an in-memory API server, an imitated AWS, one clock that jumps. Every write to AWS is
//! checked as it happens, every scenario ends at rest, and one seed is one run.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot build its input has failed")]
#![allow(clippy::duration_suboptimal_units, reason = "what is compared is said in one unit")]

mod lab;
mod scenarios;
