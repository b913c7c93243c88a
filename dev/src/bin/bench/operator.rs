//! One process of the operator: started, asked for its metrics and its memory, killed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use dev::Leashed;

use crate::Done;
use crate::aws;
use crate::stage::ACCESS_KEY;

/// What the operator may take for anything before the benchmark gives up on it.
pub const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(5);

pub struct Operator {
    process: Leashed,
    /// Right before the process was asked for.
    pub started: Instant,
    pid: u32,
    admin: String,
}

/// Resident memory in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub resident: f64,
    /// The most there ever was.
    pub peak: f64,
    /// What the program allocated; the rest is its own text and libraries.
    pub anonymous: f64,
}

impl Operator {
    /// Starts `program` in `folder`, under a name of its own, so that its log is its own.
    pub fn start(program: &Path, folder: &Path, name: &str, kubeconfig: &Path, aws_url: &str) -> Done<Self> {
        let path = folder.join(name);
        // A script, because the operator's surroundings are its own: this cluster, this AWS, nothing of the person's.
        let script = format!(
            "#!/bin/sh\nexport KUBECONFIG='{}' AWS_ENDPOINT_URL='{aws_url}' AWS_EC2_METADATA_DISABLED=true\n\
             export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY=any-will-do\n\
             exec '{}' run --listen 127.0.0.1:0 --log-level {}\n",
            kubeconfig.display(),
            program.display(),
            std::env::var("BENCH_LOG_LEVEL").as_deref().unwrap_or("info")
        );
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?;
        file.write_all(script.as_bytes())?;
        drop(file);
        let started = Instant::now();
        let mut process = Leashed::start(folder, &path, [""; 0])?;
        let admin = said(&mut process, folder, name, "address=")?;
        let pids = fs::read_to_string(folder.join(format!("{name}.pids")))?;
        let pid = pids.split_whitespace().nth(1).ok_or("the operator has no process id")?.parse()?;
        Ok(Self { process, started, pid, admin })
    }

    /// `Err` with the end of its log if it does not run any more.
    pub fn check(&mut self) -> Done {
        Ok(self.process.check()?)
    }

    pub fn last_lines(&self) -> String {
        self.process.last_lines()
    }

    /// Waits until every one of these accounts' registries was read and found Ready, and that many passes have ended.
    /// Answers how long it took from the start of the process.
    pub async fn until_confirmed(&mut self, accounts: &[&str], passes: u64) -> Done<f64> {
        loop {
            let metrics = aws::get(&self.admin, "/metrics")?;
            if is_confirmed(&metrics, accounts, passes) {
                return Ok(self.started.elapsed().as_secs_f64());
            }
            self.check()?;
            if self.started.elapsed() > PATIENCE {
                return Err(format!("not every registry was confirmed in time; the metrics:\n{metrics}").into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Memory a given time after the start.
    pub async fn memory_after(&mut self, time: Duration) -> Done<Memory> {
        tokio::time::sleep_until((self.started + time).into()).await;
        self.check()?;
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let mebibytes = |field: &str| -> Done<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            let kibibytes =
                line.and_then(|line| line.split_whitespace().next()).ok_or_else(|| format!("no {field}"))?;
            Ok(kibibytes.parse::<f64>()? / 1024.0)
        };
        Ok(Memory { resident: mebibytes("VmRSS")?, peak: mebibytes("VmHWM")?, anonymous: mebibytes("RssAnon")? })
    }
}

/// `registry_ready` is set when a pass has read AWS and judged; the count says that passes have told everybody too.
fn is_confirmed(metrics: &str, accounts: &[&str], passes: u64) -> bool {
    let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok());
    let ready = |account: &&str| {
        let of = format!("account=\"{account}\"");
        let mut lines = metrics.lines().filter(|line| line.starts_with("ecr_permissions_registry_ready{"));
        lines.any(|line| line.contains(&of) && value(line) == Some(1))
    };
    let mut totals = metrics.lines().filter(|line| line.starts_with("controller_runtime_reconcile_total "));
    accounts.iter().all(ready) && totals.any(|line| value(line).is_some_and(|total| total >= passes))
}

/// What a program says in its log right after these words: where it listens.
pub fn said(process: &mut Leashed, folder: &Path, name: &str, words: &str) -> Done<String> {
    let (log, start) = (folder.join(format!("{name}.log")), Instant::now());
    loop {
        let text = fs::read_to_string(&log).unwrap_or_default();
        if let Some((after, _)) = text.split_once(words).and_then(|(_, rest)| rest.split_once(char::is_whitespace)) {
            return Ok(after.to_owned());
        }
        process.check()?;
        if start.elapsed() > PATIENCE {
            return Err(format!("{name} never said {words:?}:\n{text}").into());
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::is_confirmed;

    #[test]
    fn all_are_confirmed_when_each_registry_is_ready_and_the_passes_have_ended() {
        let metrics = |ready: u64, total: u64| {
            format!(
                "# TYPE x gauge\necr_permissions_registry_ready{{account=\"1\",region=\"r\"}} 1\n\
                 ecr_permissions_registry_ready{{account=\"2\",region=\"r\"}} {ready}\n\
                 controller_runtime_reconcile_total {total}\n"
            )
        };
        assert!(is_confirmed(&metrics(1, 3), &["1", "2"], 3));
        assert!(!is_confirmed(&metrics(1, 2), &["1", "2"], 3));
        assert!(!is_confirmed(&metrics(0, 3), &["1", "2"], 3));
        assert!(!is_confirmed(&metrics(1, 3), &["1", "2", "3"], 3));
    }
}
