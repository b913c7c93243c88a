//! Starts etcd, kube-apiserver and kube-controller-manager and holds them. It must never listen on anything but the
//! loopback interface, and never reuse the data of an earlier run.

use std::fs;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::leash::clean_command;
use crate::scratch::random_hex;
use crate::{Assets, Error, Leashed, Scratch, kubeconfig, until};

/// Four seconds when the machine is free; the rest is for a machine that compiles at the same time. A program that
/// ends early is noticed at once, so nobody waits this long for a mistake.
const START: Duration = Duration::from_mins(2);
/// How often new ports are tried when another process takes one between our look and the program's start.
const TRIES: usize = 5;

/// A running control plane. Everything it started and wrote goes when it is dropped, or when its process ends in
/// whatever way.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped from top to bottom: clients before servers, the folder last.
    controller_manager: Mutex<Option<Leashed>>,
    api_server: Mutex<Option<Leashed>>,
    etcd: Mutex<Leashed>,
    assets: Assets,
    ports: Ports,
    url: String,
    kubeconfig: String,
    scratch: Scratch,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    etcd: u16,
    etcd_peer: u16,
    api_server: u16,
}

impl ControlPlane {
    /// Starts everything and returns when the API server is ready and its first namespaces are there.
    pub fn start(assets: &Assets) -> Result<Self, Error> {
        let mut tries = 1;
        loop {
            match Self::start_on(assets, Ports::free()?) {
                Err(lost) if lost.is_lost_port() && tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }

    fn start_on(assets: &Assets, ports: Ports) -> Result<Self, Error> {
        let scratch = Scratch::new()?;
        let folder = scratch.path();
        let token = random_hex().map_err(Error::io("making a token"))?;
        // The first group is the one that RBAC lets do everything.
        write_private(&folder.join("tokens.csv"), &format!("{token},admin,admin,system:masters\n"))?;

        let mut etcd = Leashed::start(folder, &assets.etcd, etcd_args(folder, ports))?;
        wait_for_port(&mut [&mut etcd], ports.etcd)?;
        let mut api_server = Leashed::start(folder, &assets.kube_apiserver, api_server_args(folder, ports))?;
        wait_for_port(&mut [&mut etcd, &mut api_server], ports.api_server)?;

        let url = format!("https://127.0.0.1:{}", ports.api_server);
        let certificate = until("the API server's certificate", START, || {
            check_all(&mut [&mut etcd, &mut api_server])?;
            Ok(serving_certificate(folder).map_err(|error| error.to_string()))
        })?;
        let kubeconfig = kubeconfig::text(&url, &certificate, "admin", &token);
        write_private(&folder.join("kubeconfig"), &kubeconfig)?;
        let plane = Self {
            controller_manager: Mutex::new(None),
            api_server: Mutex::new(Some(api_server)),
            etcd: Mutex::new(etcd),
            assets: assets.clone(),
            ports,
            url,
            kubeconfig,
            scratch,
        };
        plane.wait_ready()?;
        plane.start_controller_manager()?;
        Ok(plane)
    }

    /// The API server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The administrator's kubeconfig, as a file.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder().join("kubeconfig")
    }

    /// The administrator's kubeconfig, as text.
    pub fn kubeconfig_text(&self) -> &str {
        &self.kubeconfig
    }

    /// The temporary folder: logs (`kube-apiserver.log` …) and process ids (`etcd.pids` …) are in it.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs kubectl as the administrator and gives its standard output; an exit code other than 0 is an `Err` with
    /// what it said.
    pub fn kubectl(&self, args: &[&str]) -> Result<String, Error> {
        self.kubectl_with_input(args, "")
    }

    /// As [`Self::kubectl`], with standard input: `kubectl_with_input(&["apply", "-f", "-"], yaml)`.
    pub fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<String, Error> {
        let output = self.kubectl_output(args, input)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Error::Kubectl {
            args: args.join(" "),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// As [`Self::kubectl_with_input`], for the caller who expects a failure: status and both outputs as they are.
    pub fn kubectl_output(&self, args: &[&str], input: &str) -> Result<Output, Error> {
        let doing = || Error::io("running kubectl");
        let mut child = self
            .kubectl_command()
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(doing())?;
        if let Some(mut stdin) = child.stdin.take() {
            // A kubectl that never reads its input, or stops early, says so in its status.
            match stdin.write_all(input.as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(doing()(error)),
                _ => {}
            }
        }
        child.wait_with_output().map_err(doing())
    }

    /// kubectl as a command, for output that goes straight to the terminal.
    pub fn kubectl_command(&self) -> Command {
        let mut command = clean_command(&self.assets.kubectl, self.folder());
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// A kubeconfig for a ServiceAccount that exists, with a token of one hour by TokenRequest: a client under exactly
    /// the RBAC of a Pod.
    pub fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<String, Error> {
        let token = self.kubectl(&["create", "token", name, "--namespace", namespace, "--duration=1h"])?;
        let user = format!("system:serviceaccount:{namespace}:{name}");
        Ok(kubeconfig::text(&self.url, &serving_certificate(self.folder())?, &user, token.trim()))
    }

    /// Kills the API server; etcd and all objects stay. Its clients see refused connections.
    pub fn stop_api_server(&self) {
        drop(lock(&self.api_server).take());
    }

    /// Starts a stopped API server again: same port, same certificate, same tokens. Returns when it is ready.
    pub fn start_api_server(&self) -> Result<(), Error> {
        {
            let mut running = lock(&self.api_server);
            if running.is_none() {
                let args = api_server_args(self.folder(), self.ports);
                let mut api_server = Leashed::start(self.folder(), &self.assets.kube_apiserver, args)?;
                wait_for_port(&mut [&mut api_server], self.ports.api_server)?;
                *running = Some(api_server);
            }
        }
        self.wait_ready()
    }

    /// `/readyz` counts the RBAC roles in, but not the first namespaces.
    fn wait_ready(&self) -> Result<(), Error> {
        until("the API server is ready", START, || {
            if let Some(api_server) = lock(&self.api_server).as_mut() {
                api_server.check()?;
            }
            lock(&self.etcd).check()?;
            // Whoever else may sit on the port need not answer at all.
            let get = |what: &[&str]| self.kubectl(&[&["get", "--request-timeout=3s"], what].concat());
            let ready = get(&["--raw=/readyz"]).and_then(|_| get(&["namespace", "default", "kube-system"]));
            Ok(ready.map(|_| ()).map_err(|not_yet| not_yet.to_string()))
        })
    }

    fn start_controller_manager(&self) -> Result<(), Error> {
        let args = [
            format!("--kubeconfig={}", self.kubeconfig().display()),
            "--controllers=namespace-controller,garbage-collector-controller,serviceaccount-controller,\
             deployment-controller,replicaset-controller"
                .to_owned(),
            "--secure-port=0".to_owned(),
            "--leader-elect=false".to_owned(),
        ];
        let controller_manager = Leashed::start(self.folder(), &self.assets.kube_controller_manager, args)?;
        *lock(&self.controller_manager) = Some(controller_manager);
        Ok(())
    }
}

impl Ports {
    /// Three that were free a moment ago. Held together, so that they differ from each other.
    fn free() -> Result<Self, Error> {
        let doing = || Error::io("looking for a free port");
        let bind = || TcpListener::bind(("127.0.0.1", 0)).map_err(doing());
        let (a, b, c) = (bind()?, bind()?, bind()?);
        let port = |held: TcpListener| held.local_addr().map(|address| address.port()).map_err(doing());
        Ok(Self { etcd: port(a)?, etcd_peer: port(b)?, api_server: port(c)? })
    }
}

fn etcd_args(folder: &Path, ports: Ports) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // The data need not outlive the machine, not even the process.
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn api_server_args(folder: &Path, ports: Ports) -> Vec<String> {
    let certificates = folder.join("certificates");
    // The server makes its serving key itself, before it reads the key that signs service accounts' tokens. One key
    // for both was once its own default, and it spares a tool that makes keys.
    let key = certificates.join("apiserver.key");
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        format!("--cert-dir={}", certificates.display()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.api_server),
        // Else it looks for a network interface, and fails on a machine that has none.
        "--advertise-address=127.0.0.1".to_owned(),
        // Else it tries for ever to publish that address, which is not allowed to be a loopback one.
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", key.display()),
        format!("--service-account-signing-key-file={}", key.display()),
        format!("--token-auth-file={}", folder.join("tokens.csv").display()),
        "--authorization-mode=RBAC".to_owned(),
        // It would refuse Pods until the controller manager has made their service account.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
    ]
}

/// The serving certificate with the authority that signed it, both made by the API server.
fn serving_certificate(folder: &Path) -> Result<Vec<u8>, Error> {
    let path = folder.join("certificates/apiserver.crt");
    fs::read(&path).map_err(Error::io(format!("reading {}", path.display())))
}

/// A connection proves only that somebody listens: another process may have taken the port. So each wait also looks
/// whether the servers started before still run.
fn wait_for_port(servers: &mut [&mut Leashed], port: u16) -> Result<(), Error> {
    until("a connection to the server", START, || {
        check_all(servers)?;
        let last_lines = |_| servers.last().map(|server| server.last_lines()).unwrap_or_default();
        Ok(TcpStream::connect(("127.0.0.1", port)).map(|_| ()).map_err(last_lines))
    })
}

fn check_all(servers: &mut [&mut Leashed]) -> Result<(), Error> {
    servers.iter_mut().try_for_each(|server| server.check())
}

fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let open = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    open.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::io(format!("writing {}", path.display())))
}

/// A poisoned lock still holds a good process: the panic was in a test, not here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The race itself cannot be arranged; its outcome can.
    #[test]
    fn a_port_that_another_process_took_is_recognised_whichever_it_is() {
        let assets = Assets::find().unwrap();
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let free = Ports::free().unwrap();
        for ports in
            [Ports { etcd: port, ..free }, Ports { etcd_peer: port, ..free }, Ports { api_server: port, ..free }]
        {
            let lost = ControlPlane::start_on(&assets, ports).unwrap_err();
            assert!(lost.is_lost_port(), "{ports:?}: {lost}");
        }
    }
}
