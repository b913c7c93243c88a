//! The API server: what is watched, and the few things that are written.

pub mod events;
mod follow;
mod loose;
mod pages;
mod stub;
pub mod watches;
pub mod writes;
