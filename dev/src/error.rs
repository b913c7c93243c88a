//! What can go wrong round the control plane, each said so that the reader knows what to do next. It never carries a
//! token: the text of an error ends up in logs.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why the control plane, or a call to it, failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Programs of the control plane are not built yet.
    #[error("missing in {}: {}; build them with `make tools`", .folder.display(), .programs.join(", "))]
    MissingAssets {
        /// Where they were looked for.
        folder: PathBuf,
        /// Their names.
        programs: Vec<&'static str>,
    },
    /// A file, a folder, a port or a process could not be had.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program of the control plane ended while it was needed.
    #[error("{program} ended ({status}); the end of its log:\n{log}")]
    Ended {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// Something was waited for in vain.
    #[error("{what}: not after {} s\n{last}", .waited.as_secs())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        waited: Duration,
        /// What was last seen instead.
        last: String,
    },
    /// kubectl ran and said no.
    #[error("kubectl {args}: {status}\n{stderr}")]
    Kubectl {
        /// Its arguments.
        args: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
}

impl Error {
    /// For `map_err`: says what was tried, in the gerund (`writing x`).
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::Io { doing, source }
    }

    /// Another process took the port between our look and its start: worth another try with other ports.
    pub(crate) fn is_lost_port(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains("address already in use"))
    }
}
