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

pub struct Stage {
    // Dropped from top to bottom: clients before servers.
    pub operator: Option<Operator>,
    pub aws: Aws,
    aws_url: String,
    _simulator: Leashed,
    plane: ControlPlane,
    starts: usize,
}

impl Stage {
    pub fn set() -> Done<Self> {
        let [operator, simulator] = programs(["ecr-permissions", "aws-sim"])?;
        let plane = ControlPlane::start(&Assets::find()?)?;
        let folder = plane.folder();
        let world = folder.join("world.json");
        fs::write(&world, world_file().to_string())?;
        let listen = ["--listen", "127.0.0.1:0", "--world"].map(Into::into);
        let mut simulator = Leashed::start(folder, &simulator, listen.into_iter().chain([world.into_os_string()]))?;
        let aws_url = said(&mut simulator, folder, "aws-sim", "listening on ")?;
        install_definitions(&operator, &plane)?;
        let aws = Aws::connect(&aws_url)?;
        Ok(Self { operator: None, aws, aws_url, _simulator: simulator, plane, starts: 0 })
    }

    pub fn kubeconfig(&self) -> &str {
        self.plane.kubeconfig_text()
    }

    /// Starts an operator; one that runs is killed first.
    pub fn start_operator(&mut self) -> Done<&mut Operator> {
        self.stop_operator();
        self.starts += 1;
        let name = format!("operator-{}", self.starts);
        let operator = Operator::start(self.plane.folder(), &name, &self.plane.kubeconfig(), &self.aws_url)?;
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
        match &self.operator {
            Some(operator) => format!("{error}\n\nThe end of the operator's log:\n{}", operator.last_lines()),
            None => error.to_string(),
        }
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

/// The definitions come from the program itself, so that they are always those of its version.
fn install_definitions(operator: &Path, plane: &ControlPlane) -> Done {
    let crds = std::process::Command::new(operator).arg("crds").output()?;
    if !crds.status.success() {
        return Err(format!("ecr-permissions crds: {}", String::from_utf8_lossy(&crds.stderr)).into());
    }
    plane.kubectl_with_input(&["apply", "-f", "-"], &String::from_utf8_lossy(&crds.stdout))?;
    plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"])?;
    Ok(())
}

/// Programs that were built beside this one.
pub fn programs<const N: usize>(names: [&str; N]) -> Done<[PathBuf; N]> {
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
