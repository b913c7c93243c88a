//! The API server: what is watched, and the few things that are written.

pub mod events;
pub mod watches;
pub mod writes;
