//! A process on a leash: it ends when its holder drops it, and also when the holder is killed without a chance to drop
//! anything.
//!
//! Between the two stands a small `sh`. Its standard input is a pipe whose other end only the holder has; the system
//! closes that end whenever and however the holder ends, the shell reads end-of-file and kills its child. It must
//! never kill anything but that child, which is why the reader is ended as soon as the child is gone: process ids are
//! used again.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::Error;

// `$1` is the file for the two process ids, the rest is the program. Fd 3 is the leash; the child must not hold it.
const WATCH: &str = r#"
exec 3<&0 </dev/null
pids=$1; shift
"$@" 3<&- &
child=$!
echo "$$ $child" >"$pids"
( while read -r _ <&3; do :; done; kill -KILL "$child" 2>/dev/null ) &
reader=$!
exec 3<&-
wait "$child"
ended=$?
kill "$reader" 2>/dev/null
wait "$reader" 2>/dev/null
exit "$ended"
"#;

/// How much of a log is shown when its program ended: enough for a panic's head line and its cause.
const LAST_LINES: usize = 25;

/// A running program, its log, and the leash.
#[derive(Debug)]
pub struct Leashed {
    program: String,
    log: PathBuf,
    watch: Child,
}

impl Leashed {
    /// Starts `program` with a clean environment (`HOME` and `TMPDIR` are `folder`). Its output goes to
    /// `folder/NAME.log`; `folder/NAME.pids` holds the ids of the watching shell and of the program.
    pub fn start<A: AsRef<OsStr>>(
        folder: &Path,
        program: &Path,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self, Error> {
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let log = folder.join(format!("{name}.log"));
        let doing = || format!("starting {name}");
        // Appended to, because a restart should not take away what was said before it.
        let out = File::options().create(true).append(true).open(&log).map_err(Error::io(doing()))?;
        let err = out.try_clone().map_err(Error::io(doing()))?;
        let watch = clean_command("sh", folder)
            .args(["-c", WATCH, "sh"])
            .arg(folder.join(format!("{name}.pids")))
            .arg(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            // A Ctrl-C is for the holder; what follows from it reaches us through the leash.
            .process_group(0)
            .spawn()
            .map_err(Error::io(doing()))?;
        Ok(Self { program: name, log, watch })
    }

    /// `Err` with the end of its log if the program is no longer running.
    pub fn check(&mut self) -> Result<(), Error> {
        match self.watch.try_wait().map_err(Error::io(format!("looking for {}", self.program)))? {
            None => Ok(()),
            Some(status) => Err(self.ended(status)),
        }
    }

    /// The last lines of the program's log.
    pub fn last_lines(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    fn ended(&self, status: ExitStatus) -> Error {
        Error::Ended { program: self.program.clone(), status, log: self.last_lines() }
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        // Nothing to do about a failure: the shell is gone already, or the system will not say.
        let _ = self.watch.wait();
    }
}

/// A command that knows nothing of the person who runs it: no `KUBECONFIG`, no `ETCD_…`, no proxy, no home.
pub(crate) fn clean_command(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).env("TMPDIR", home).current_dir(home);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scratch, until};
    use std::time::Duration;

    const SOON: Duration = Duration::from_secs(20);

    fn sh(folder: &Path, script: &str) -> Leashed {
        Leashed::start(folder, Path::new("sh"), ["-c", script]).unwrap()
    }

    #[test]
    fn a_program_that_ends_by_itself_shows_the_end_of_its_log() {
        let scratch = Scratch::new().unwrap();
        let mut child = sh(scratch.path(), "seq 100; echo the cause >&2; exit 3");
        let ended = until("the end", SOON, || Ok(child.check().err().ok_or_else(String::new))).unwrap().to_string();
        assert!(ended.contains("exit status: 3") && ended.ends_with("the cause"), "{ended}");
        assert!(ended.contains("\n99\n") && !ended.contains("\n50\n"), "{ended}");
    }

    /// Else the reader would kill, much later, whoever then has the id.
    #[test]
    fn when_a_program_ends_by_itself_nobody_waits_to_kill_its_id() {
        let scratch = Scratch::new().unwrap();
        let mut child = sh(scratch.path(), "exit 0");
        until("the end", SOON, || Ok(child.check().err().ok_or_else(String::new))).unwrap();
        // The shell leads a group of its own, so this asks whether any of it is left.
        let group = format!("kill -0 -{} 2>/dev/null", child.watch.id());
        assert!(!Command::new("sh").args(["-c", &group]).status().unwrap().success());
    }

    #[test]
    fn a_dropped_program_is_gone_when_drop_returns() {
        let scratch = Scratch::new().unwrap();
        let child = sh(scratch.path(), "echo $$ >pid; exec tail -f /dev/null");
        let file = scratch.path().join("pid");
        let pid = until("its id", SOON, || {
            Ok(fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n')).ok_or_else(String::new))
        })
        .unwrap();
        drop(child);
        let alive = Command::new("sh").args(["-c", &format!("kill -0 {} 2>/dev/null", pid.trim())]).status().unwrap();
        assert!(!alive.success());
    }

    #[test]
    fn a_program_sees_nothing_of_the_callers_environment() {
        let scratch = Scratch::new().unwrap();
        let mut child = sh(scratch.path(), "env; exit 1");
        let said = until("the end", SOON, || Ok(child.check().err().ok_or_else(String::new))).unwrap().to_string();
        assert!(said.contains(&format!("HOME={}", scratch.path().display())), "{said}");
        assert!(!said.contains("CARGO"), "{said}");
    }
}
