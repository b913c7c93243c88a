//! AWS: sessions that prove their account, the calls that are used, the permit every write needs, and what failures
//! mean. The seam for tests is the SDK's HTTP client: signing, retries and error decoding are always the real ones.

mod because;
pub mod cache_rules;
mod credentials;
mod date;
pub mod ecr;
pub mod error;
pub mod gate;
mod guard;
pub mod iam;
pub mod metrics;
pub mod permit;
pub mod secrets;
pub mod session;
