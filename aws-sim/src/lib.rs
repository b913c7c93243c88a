//! An AWS endpoint for development and tests: STS, ECR, IAM's roles and what may be known of secrets, for many accounts
//! and Regions.
//!
//! [`World`] is the pure state machine; [`Connector`] lets time pass around it inside one process, and [`http`] does
//! the same over a socket. It imitates AWS as `aws-facts.md` describes it, and never the operator: so it depends on
//! neither the operator's core, nor an AWS SDK, nor kube.

pub mod config;
pub mod connector;
pub mod control;
pub mod http;
pub mod world;

pub use config::WorldFile;
pub use connector::{ConnectError, Connector, Observer, Then};
pub use control::Control;
pub use world::{
    Call, Decision, DocumentWrite, Effect, Fault, Outage, Outcome, Phase, Reply, Role, Scope, Trust, World,
};
