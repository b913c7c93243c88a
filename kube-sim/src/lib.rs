//! An in-memory Kubernetes API server for tests on virtual time.
//!
//! `KubeSim::client` is a real `kube::Client` that never leaves the process. One seed gives one run: no wall clock, no random order.
//! The server imitates kube-apiserver, never the operator: it knows no kind but those it is handed, and `behaviours` is the
//! table that holds it and a real server to the same rules.
//!
//! Not served: authentication, admission, validation of values against the schema, discovery, owner references.

pub mod behaviours;
mod calls;
mod disorder;
mod effect;
mod patch;
mod preconditions;
mod refusal;
mod request;
mod resource;
mod selector;
mod server;
mod sim;
mod size;
mod store;
mod watch;
mod writes;

pub use calls::{Call, Fault, Matching, Outcome, Phase, Then, Verb, Write};
pub use disorder::{Kinds, Outage, Restore};
pub use resource::Resource;
pub use sim::KubeSim;
pub use store::Snapshot;

#[cfg(test)]
mod tests;
