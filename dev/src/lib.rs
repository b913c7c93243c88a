//! A real Kubernetes control plane for tests, the demo and the benchmark: etcd, kube-apiserver and
//! kube-controller-manager on loopback ports of this machine, gone when the program that started them is gone, however
//! it ended.
//!
//! Blocking on purpose: it is used from plain tests, from programs before their runtime starts, and its waiting is for
//! processes, not for virtual time. It must never touch a cluster of the person who runs it: nothing is taken from
//! `KUBECONFIG` or the home folder, and nothing is written outside one temporary folder.
//!
//! ```no_run
//! # fn main() -> Result<(), dev::Error> {
//! let plane = dev::ControlPlane::start(&dev::Assets::find()?)?;
//! plane.kubectl(&["create", "namespace", "team-a"])?;
//! println!("KUBECONFIG={}", plane.kubeconfig().display());
//! # Ok(())
//! # }
//! ```

mod assets;
mod control_plane;
mod error;
mod kubeconfig;
mod leash;
mod scratch;
mod wait;

pub use assets::Assets;
pub use control_plane::ControlPlane;
pub use error::Error;
pub use leash::Leashed;
pub use scratch::Scratch;
pub use wait::until;
