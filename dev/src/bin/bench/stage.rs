//! The processes that the operator meets: a control plane and a simulated AWS, both on leashes, and how an operator is
//! started among them.

use std::fs;
use std::path::{Path, PathBuf};

use dev::{Assets, ControlPlane, Leashed};
use serde_json::{Value, json};

use crate::Done;
use crate::aws::Aws;
use crate::operator::{Operator, said};

pub const REGION: &str = "eu-west-1";
/// The accounts of the registries.
pub const ACCOUNTS: [&str; 5] = ["111111111111", "222222222222", "333333333333", "444444444444", "555555555555"];
/// Where the operator's own credentials are of. It has no registry.
const HOME: &str = "123456789012";
const CONTROLLER: &str = "ecr-operator/controller";
const MEMBER: &str = "ecr-operator/member";
pub const ACCESS_KEY: &str = "AKIABENCHCONTROLLER";
/// How long AWS takes to answer a call.
const DELAY_MS: u64 = 50;
/// How long a new role is invisible to all but IAM.
pub const PROPAGATION_MS: u64 = 2_000;
const BOUNDARY: &str = "ptc-boundary";
/// What is shown of a line of a log: the API server's refusals repeat all they have said.
const LINE: usize = 400;

/// What is run.
#[derive(Clone, Debug)]
pub struct Programs {
    pub operator: PathBuf,
    simulator: PathBuf,
}

impl Programs {
    /// Those that were built beside this one.
    pub fn find() -> Done<Self> {
        let [operator, simulator] = beside_this_one(["ecr-permissions", "aws-sim"])?;
        Ok(Self { operator, simulator })
    }

    /// The same with another operator.
    pub fn with_operator(&self, operator: PathBuf) -> Self {
        Self { operator, ..self.clone() }
    }
}

/// A control plane with the definitions of one build of the operator, in a state of its own.
pub struct Plane {
    plane: ControlPlane,
}

impl Plane {
    /// The definitions come from the program itself, so that they are always those of its version.
    pub fn start(operator: &Path) -> Done<Self> {
        let plane = ControlPlane::start(&Assets::find()?)?;
        let crds = std::process::Command::new(operator).arg("crds").output()?;
        if !crds.status.success() {
            return Err(format!("{} crds: {}", operator.display(), String::from_utf8_lossy(&crds.stderr)).into());
        }
        plane.kubectl_with_input(&["apply", "-f", "-"], &String::from_utf8_lossy(&crds.stdout))?;
        plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"])?;
        Ok(Self { plane })
    }

    pub fn kubeconfig(&self) -> &str {
        self.plane.kubeconfig_text()
    }
}

pub struct Stage {
    // Dropped from top to bottom: clients before servers.
    pub operator: Option<Operator>,
    pub aws: Aws,
    program: PathBuf,
    aws_url: String,
    _simulator: Leashed,
    plane: Plane,
    starts: usize,
}

impl Stage {
    pub fn set(programs: &Programs) -> Done<Self> {
        let plane = Plane::start(&programs.operator)?;
        let folder = plane.plane.folder();
        let world = folder.join("world.json");
        fs::write(&world, world_file().to_string())?;
        let listen = ["--listen", "127.0.0.1:0", "--world"].map(Into::into);
        let arguments = listen.into_iter().chain([world.into_os_string()]);
        let mut simulator = Leashed::start(folder, &programs.simulator, arguments)?;
        let aws_url = said(&mut simulator, folder, "aws-sim", "listening on ")?;
        let aws = Aws::connect(&aws_url)?;
        let program = programs.operator.clone();
        Ok(Self { operator: None, aws, program, aws_url, _simulator: simulator, plane, starts: 0 })
    }

    pub fn kubeconfig(&self) -> &str {
        self.plane.kubeconfig()
    }

    /// Starts an operator; one that runs is killed first.
    pub fn start_operator(&mut self) -> Done<&mut Operator> {
        self.stop_operator();
        self.starts += 1;
        let name = format!("operator-{}", self.starts);
        let plane = &self.plane.plane;
        let operator = Operator::start(&self.program, plane.folder(), &name, &plane.kubeconfig(), &self.aws_url)?;
        Ok(self.operator.insert(operator))
    }

    /// Kills the operator, as a crash would.
    pub fn stop_operator(&mut self) {
        drop(self.operator.take());
    }

    pub fn operator(&mut self) -> Done<&mut Operator> {
        Ok(self.operator.as_mut().ok_or("no operator runs")?)
    }

    /// An error, with what the operator said last.
    pub fn explain(&self, error: &dyn std::error::Error) -> String {
        let Some(operator) = &self.operator else { return error.to_string() };
        let line = |line: &str| line.chars().take(LINE).collect::<String>();
        let log: Vec<_> = operator.last_lines().lines().map(line).collect();
        format!("{error}\n\nThe end of the operator's log:\n{}", log.join("\n"))
    }
}

/// The role that the operator works as in an account.
pub fn member_role(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/{MEMBER}")
}

/// The policy that bounds the roles of an account.
pub fn boundary(account: &str) -> String {
    format!("arn:aws:iam::{account}:policy/{BOUNDARY}")
}

fn world_file() -> Value {
    let trust = json!({"principals": [format!("arn:aws:iam::{HOME}:role/{CONTROLLER}")]});
    let home = json!({
        "id": HOME,
        "roles": [{"name": CONTROLLER}],
        "access_keys": [{"id": ACCESS_KEY, "principal": format!("role/{CONTROLLER}")}],
    });
    let boundary =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]});
    let member = |account: &&str| {
        json!({
            "id": account, "roles": [{"name": MEMBER, "trust": trust}], "registries": [{"region": REGION}],
            "managed_policies": {BOUNDARY: boundary},
        })
    };
    let accounts: Vec<_> = [home].into_iter().chain(ACCOUNTS.iter().map(member)).collect();
    json!({"seed": 1, "base_delay_ms": DELAY_MS, "propagation_ms": PROPAGATION_MS, "accounts": accounts})
}

fn beside_this_one<const N: usize>(names: [&str; N]) -> Done<[PathBuf; N]> {
    let folder = own_folder()?;
    let paths = names.map(|name| folder.join(name));
    match paths.iter().find(|path| !path.is_file()) {
        Some(missing) => Err(format!("{} is not built: run `make bench`, which builds it", missing.display()).into()),
        None => Ok(paths),
    }
}

/// A file in the build's folder, above the one with the programs.
pub fn beside_programs(name: &str) -> Done<PathBuf> {
    let folder = own_folder()?;
    Ok(folder.parent().unwrap_or(&folder).join(name))
}

fn own_folder() -> Done<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or_else(|| Path::new(".")).to_owned())
}
