//! The control plane on this machine: it starts, works, and is gone with its holder, however that one ends.
//! Most tests share one control plane, because starting one takes seconds.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dev::{Assets, ControlPlane, until};

const SOON: Duration = Duration::from_mins(1);

/// Never dropped, as statics are not: that its processes go all the same is the point of the leash.
static PLANE: LazyLock<ControlPlane> = LazyLock::new(|| ControlPlane::start(&Assets::find().unwrap()).unwrap());

#[test]
fn client_and_server_have_the_pinned_version() {
    let said = PLANE.kubectl(&["version"]).unwrap();
    let versions: Vec<_> = said.lines().filter_map(|line| line.split_once(" Version: ")).collect();
    let client = versions.iter().find(|(who, _)| *who == "Client").unwrap().1;
    let server = versions.iter().find(|(who, _)| *who == "Server").unwrap().1;
    assert_eq!(client, server, "{said}");
    if std::env::var_os("KUBEBUILDER_ASSETS").is_none() {
        let pin =
            include_str!("../tools/go.mod").lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "));
        let pinned = pin.and_then(|rest| rest.split_whitespace().next());
        assert_eq!(Some(server), pinned, "{said}");
    }
}

#[test]
fn a_namespace_goes_away_with_everything_in_it() {
    PLANE.kubectl(&["create", "namespace", "to-go"]).unwrap();
    PLANE.kubectl(&["create", "configmap", "thing", "-n", "to-go"]).unwrap();
    let start = Instant::now();
    PLANE.kubectl(&["delete", "namespace", "to-go", "--timeout=60s"]).unwrap();
    assert!(start.elapsed() < SOON);
    let gone = PLANE.kubectl(&["get", "configmap", "thing", "-n", "to-go"]).unwrap_err().to_string();
    assert!(gone.contains("NotFound"), "{gone}");
}

#[test]
fn what_an_owner_leaves_behind_is_collected() {
    let owner =
        PLANE.kubectl_with_input(&["create", "-f", "-", "-o", "jsonpath={.metadata.uid}"], &configmap("owner", ""));
    let owned_by =
        format!("\n  ownerReferences: [{{apiVersion: v1, kind: ConfigMap, name: owner, uid: \"{}\"}}]", owner.unwrap());
    PLANE.kubectl_with_input(&["create", "-f", "-"], &configmap("owned", &owned_by)).unwrap();
    PLANE.kubectl(&["delete", "configmap", "owner"]).unwrap();
    PLANE.kubectl(&["wait", "--for=delete", "configmap/owned", "--timeout=60s"]).unwrap();
}

fn configmap(name: &str, more: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: default{more}\n")
}

#[test]
fn a_service_account_may_do_what_its_roles_say_and_nothing_else() {
    PLANE.kubectl(&["create", "namespace", "tenant"]).unwrap();
    PLANE.kubectl(&["create", "serviceaccount", "reader", "-n", "tenant"]).unwrap();
    PLANE.kubectl(&["create", "role", "reader", "-n", "tenant", "--verb=get,list", "--resource=configmaps"]).unwrap();
    PLANE
        .kubectl(&[
            "create",
            "rolebinding",
            "reader",
            "-n",
            "tenant",
            "--role=reader",
            "--serviceaccount=tenant:reader",
        ])
        .unwrap();
    let file = PLANE.folder().join("reader.kubeconfig");
    fs::write(&file, PLANE.service_account_kubeconfig("tenant", "reader").unwrap()).unwrap();
    let as_reader = ["--kubeconfig", file.to_str().unwrap(), "-n", "tenant"];

    // RBAC is served from a cache that follows the objects.
    until("the role binding counts", SOON, || {
        Ok(PLANE.kubectl(&[&as_reader[..], &["get", "configmaps"]].concat()).map_err(|error| error.to_string()))
    })
    .unwrap();
    let refused = PLANE.kubectl(&[&as_reader[..], &["create", "configmap", "x"]].concat()).unwrap_err().to_string();
    assert!(refused.contains("system:serviceaccount:tenant:reader") && refused.contains("is forbidden"), "{refused}");
}

#[test]
fn kubectl_says_what_went_wrong_and_takes_nothing_from_the_person_who_runs_it() {
    let said = PLANE.kubectl(&["get", "unheard-of"]).unwrap_err().to_string();
    assert!(said.contains("get unheard-of") && said.contains("the server doesn't have a resource type"), "{said}");
    let context = PLANE.kubectl(&["config", "current-context"]).unwrap();
    assert_eq!(context.trim(), "dev");
}

/// Also: the objects, the tokens and the address outlive an API server that goes away and comes back.
#[test]
fn the_api_server_can_go_away_and_come_back() {
    let plane = ControlPlane::start(&Assets::find().unwrap()).unwrap();
    let address = plane.url().strip_prefix("https://").unwrap().to_owned();
    plane.kubectl(&["create", "configmap", "kept"]).unwrap();

    plane.stop_api_server();
    assert!(TcpStream::connect(&address).is_err());
    plane.start_api_server().unwrap();
    plane.kubectl(&["get", "configmap", "kept"]).unwrap();

    let folder = plane.folder().to_owned();
    let processes = processes(&folder);
    drop(plane);
    assert_eq!(processes.iter().filter(|id| is_alive(id)).count(), 0);
    assert!(!folder.exists());
}

#[test]
fn nothing_is_left_when_the_holder_is_killed() {
    let (mut holder, _stdin, folder) = another_process_with_a_control_plane();
    let processes = processes(&folder);
    assert!(processes.iter().all(|id| is_alive(id)), "{processes:?}");

    // SIGKILL: no handler, no destructor.
    holder.kill().unwrap();
    holder.wait().unwrap();
    until("all processes are gone", SOON, || {
        let left: Vec<_> = processes.iter().filter(|id| is_alive(id)).collect();
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) })
    })
    .unwrap();
    until("the folder is gone", SOON, || Ok(if folder.exists() { Err(String::new()) } else { Ok(()) })).unwrap();
}

/// Its standard input must be held: the control plane runs until that closes.
fn another_process_with_a_control_plane() -> (Child, ChildStdin, PathBuf) {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_dev"))
        .arg("control-plane")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = holder.stdin.take().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let kubeconfig = Path::new(line.trim().strip_prefix("export KUBECONFIG=").unwrap());
    (holder, stdin, kubeconfig.parent().unwrap().to_owned())
}

/// The ids of the three programs and of the shells that watch them; a shell writes both down once it runs.
fn processes(folder: &Path) -> Vec<String> {
    let ids = |program: &str| {
        let text = fs::read_to_string(folder.join(format!("{program}.pids"))).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    until("six process ids", SOON, || {
        let all: Vec<_> = ["etcd", "kube-apiserver", "kube-controller-manager"].into_iter().flat_map(ids).collect();
        Ok(if all.len() == 6 { Ok(all) } else { Err(format!("{all:?}")) })
    })
    .unwrap()
}

fn is_alive(id: &str) -> bool {
    // In a container whose first process does not collect orphans a dead one stays as a zombie.
    let zombie = fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    let kill = Command::new("sh").args(["-c", &format!("kill -0 {id} 2>/dev/null")]).status().unwrap();
    kill.success() && !zombie
}
