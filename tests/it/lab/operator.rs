//! The operator as a process: started as in a Pod, looked at by its probes and its log, ended kindly or not.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dev::{Leashed, until};
use serde_json::Value;

use super::aws::ACCESS_KEY;
use super::{PATIENCE, REGION, log_folder};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_ecr-permissions");

pub struct Operator {
    leash: Leashed,
    folder: PathBuf,
    /// Where the probes are.
    pub admin: String,
}

/// A credentials file as it is mounted from a Secret.
fn credentials_of(key_id: &str) -> String {
    format!("[default]\naws_access_key_id = {key_id}\naws_secret_access_key = any\n")
}

impl Operator {
    /// Returns when it serves its probes, which says nothing about the API server or AWS.
    pub fn start(kubeconfig: &Path, aws: &str) -> Self {
        Self::start_with(kubeconfig, aws, &["--test-timings"])
    }

    pub fn start_with(kubeconfig: &Path, aws: &str, args: &[&str]) -> Self {
        let mut operator = Self::launch(kubeconfig, aws, "127.0.0.1:0", "debug", args);
        operator.admin = operator.said("address");
        operator
    }

    /// One that logs from this level on, and so does not say where its probes are: they are where nobody listened.
    pub fn start_at_log_level(kubeconfig: &Path, aws: &str, level: &str) -> Self {
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut operator = Self::launch(kubeconfig, aws, &listen, level, &["--test-timings"]);
        until("a probe", PATIENCE, || {
            operator.leash.check()?;
            Ok(TcpStream::connect(&listen).map(drop).map_err(|error| error.to_string()))
        })
        .unwrap();
        operator.admin = listen;
        operator
    }

    fn launch(kubeconfig: &Path, aws: &str, listen: &str, level: &str, args: &[&str]) -> Self {
        let folder = log_folder();
        let credentials = folder.join("credentials");
        fs::write(&credentials, credentials_of(ACCESS_KEY)).unwrap();
        let environment = [
            format!("AWS_ENDPOINT_URL={aws}"),
            format!("AWS_SHARED_CREDENTIALS_FILE={}", credentials.display()),
            format!("AWS_REGION={REGION}"),
            PROGRAM.to_owned(),
        ];
        let (listen, level) = (format!("--listen={listen}"), format!("--log-level={level}"));
        let run = ["run".to_owned(), listen, "--log-format=json".to_owned(), level];
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        let args =
            environment.into_iter().chain(run).chain([kubeconfig]).chain(args.iter().map(|arg| (*arg).to_owned()));
        // `env` becomes the program: the leash starts with an empty environment.
        let leash = Leashed::start(&folder, Path::new("env"), args).unwrap();
        Self { leash, folder, admin: String::new() }
    }

    /// The first value of a field in the log.
    fn said(&mut self, field: &str) -> String {
        until(&format!("{field} in the log"), PATIENCE, || {
            self.leash.check()?;
            let value = self.log().iter().find_map(|line| line[field].as_str().map(str::to_owned));
            Ok(value.ok_or_else(|| self.leash.last_lines()))
        })
        .unwrap()
    }

    /// Another key stands in the file that the operator has its own credentials from.
    pub fn replace_key(&self, key_id: &str) {
        fs::write(self.folder.join("credentials"), credentials_of(key_id)).unwrap();
    }

    /// The lines of the log.
    pub fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("env.log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// A GET on the admin server: status code and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The sum of a metric's values over the series whose labels hold `label`.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    pub fn wait_probe(&self, path: &str, code: u16) {
        until(&format!("{path} answers {code}"), PATIENCE, || {
            let (found, body) = self.get(path);
            Ok(if found == code { Ok(()) } else { Err(format!("{found} {body}")) })
        })
        .unwrap();
    }

    fn pid(&self) -> String {
        let pids = fs::read_to_string(self.folder.join("env.pids")).unwrap();
        pids.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// A member of what the kernel says of the process, in bytes.
    pub fn memory(&self, member: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(member)?.strip_prefix(':')).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
    }

    /// SIGTERM; answers how it ended.
    pub fn terminate(mut self) -> String {
        assert!(Command::new("kill").args(["-TERM", &self.pid()]).status().unwrap().success());
        until("the end", PATIENCE, || Ok(self.leash.check().err().map(|end| end.to_string()).ok_or_else(String::new)))
            .unwrap()
    }

    /// SIGKILL: it has no last word. Gone when this returns.
    pub fn kill(self) {
        drop(self.leash);
    }
}
