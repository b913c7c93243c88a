//! The operator on virtual time: an in-memory API server, an imitated AWS, one clock that jumps. Every write to AWS is
//! checked as it happens, every scenario ends at rest, and one seed is one run.

mod lab;
mod scenarios;
