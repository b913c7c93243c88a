//! The processes of the demo: control plane, simulated AWS, operator. All are on leashes, so none outlives the demo
//! however it ends.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use dev::{Assets, ControlPlane, Leashed, until};
use serde_json::{Value, json};

use crate::Done;
use crate::aws::{Aws, REGION};
use crate::say::Say;

/// What any one thing in the demo may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const PRODUCTION: &str = "111122223333";
pub const STAGING: &str = "444455556666";
/// Where the operator's own credentials are of. It has no registry.
const HOME: &str = "123456789012";
const CONTROLLER: &str = "ecr-operator/controller";
const MEMBER: &str = "ecr-operator/member";
/// As in deploy/samples/registry.yaml.
const EXTERNAL_ID: &str = "platform-7f3a";
const ACCESS_KEY: &str = "AKIADEMOCONTROLLER";

pub struct Stage {
    // Dropped from top to bottom: clients before servers.
    operator: Leashed,
    simulator: Leashed,
    plane: ControlPlane,
    pub aws: Aws,
    /// Where the operator serves its metrics.
    admin: String,
    tools: PathBuf,
}

impl Stage {
    /// Starts everything; returns when there is something to talk to.
    pub fn set(say: &mut Say) -> Done<Self> {
        say.step("A control plane, an AWS with three accounts, the operator")?;
        let [operator, simulator] = programs(["ecr-permissions", "aws-sim"])?;
        let assets = Assets::find()?;
        say.note("etcd, kube-apiserver and kube-controller-manager start on free ports of this machine.")?;
        let plane = ControlPlane::start(&assets)?;
        let folder = plane.folder();
        let world = folder.join("world.json");
        fs::write(&world, world_file().to_string())?;
        let listen = ["--listen", "127.0.0.1:0", "--world"].map(Into::into);
        let mut simulator = Leashed::start(folder, &simulator, listen.into_iter().chain([world.into_os_string()]))?;
        let url = said(&mut simulator, "listening on ")?;
        say.note(&format!("The AWS simulator listens on {url}. Its accounts:"))?;
        say.output(&format!(
            "{HOME}  the operator's own, without a registry\n{PRODUCTION}  production, {REGION}\n{STAGING}  staging, {REGION}"
        ))?;
        let tools = fs::canonicalize(&assets.kubectl)?.parent().map(Path::to_owned).unwrap_or_default();
        install_definitions(&operator, &plane, say)?;
        let script = operator_script(&operator, &plane, &url)?;
        say.command("ecr-permissions run --listen 127.0.0.1:0 --log-format text")?;
        let mut operator = Leashed::start(folder, &script, [""; 0])?;
        let admin = said(&mut operator, "address=")?;
        Ok(Self { operator, simulator, plane, aws: Aws { url }, admin, tools })
    }

    /// Runs kubectl, shows the command and what it printed; a failure of it is one of the demo.
    pub fn kubectl(&self, args: &[&str], say: &Say) -> Done {
        say.command(&typed("kubectl", args))?;
        say.output(&self.quietly(args, "")?)?;
        Ok(())
    }

    /// As [`Self::kubectl`], with a text as its standard input.
    pub fn kubectl_with(&self, args: &[&str], input: &str, say: &Say) -> Done {
        say.command(&format!("{} <<EOF", typed("kubectl", args)))?;
        say.output(&format!("{}\nEOF", input.trim_end()))?;
        say.output(&self.quietly(args, input)?)?;
        Ok(())
    }

    /// Runs kubectl and says nothing.
    pub fn quietly(&self, args: &[&str], input: &str) -> Done<String> {
        let output = self.run(args, input)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("{}: {}\n{}", typed("kubectl", args), output.status, text(&output.stderr)).into())
        }
    }

    fn run(&self, args: &[&str], input: &str) -> Done<Output> {
        run_kubectl(&self.plane, args, input)
    }

    /// Looks until it is so; says what was seen last if it never is.
    pub fn wait(&mut self, what: &str, mut look: impl FnMut(&Self) -> Done<Result<(), String>>) -> Done {
        until(what, PATIENCE, || {
            self.operator.check()?;
            self.simulator.check()?;
            Ok(look(self).unwrap_or_else(|error| Err(error.to_string())))
        })?;
        Ok(())
    }

    /// `Err` if something that should run does not.
    pub fn check(&mut self) -> Done {
        self.operator.check()?;
        self.simulator.check()?;
        Ok(())
    }

    /// What there is to know when a step went wrong: what the objects say, and the end of the operator's log.
    pub fn evidence(&self) -> String {
        let kinds = "registries,registrypolicies,replicationgrants,pullthroughcacherules,crossaccountptcroles";
        let objects = self.quietly(&["get", kinds, "--all-namespaces", "-o", "wide"], "");
        let objects = objects.unwrap_or_else(|error| error.to_string());
        format!("What the objects say:\n{objects}\nThe end of the operator's log:\n{}", self.operator.last_lines())
    }

    /// What a person may do next, in another terminal.
    pub fn how_to_look_round(&self, say: &mut Say) -> Done {
        let (folder, url) = (self.plane.folder().display(), &self.aws.url);
        say.step("Look round, in another terminal; Ctrl-C here ends everything")?;
        say.note("A kubectl that knows this cluster:")?;
        say.output(&format!(
            "export KUBECONFIG={} PATH={}:$PATH\nkubectl get registries,registrypolicies,replicationgrants,pullthroughcacherules,crossaccountptcroles -A\nkubectl get registry production -o yaml\nkubectl get events -n team-data",
            self.plane.kubeconfig().display(),
            self.tools.display()
        ))?;
        say.note("AWS: a registry's policy, every call there was, and what would be allowed:")?;
        say.output(&format!(
            "curl -s '{url}/_sim/policy?account={PRODUCTION}&region={REGION}'\ncurl -s '{url}/_sim/calls'\ncurl -s '{url}/_sim/would?principal=555566667777&action=ecr:BatchGetImage&repository=web/shop&account={PRODUCTION}&region={REGION}'\ncurl -s '{url}/_sim/delete_policy' -d '{{\"account\": \"{PRODUCTION}\", \"region\": \"{REGION}\"}}'   # what will the operator do?"
        ))?;
        say.note("The operator:")?;
        say.output(&format!("tail -f {folder}/operator.log\ncurl -s http://{}/metrics", self.admin))?;
        Ok(())
    }
}

/// Programs that were built beside this one.
fn programs<const N: usize>(names: [&str; N]) -> Done<[PathBuf; N]> {
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or_else(|| Path::new("."));
    let paths = names.map(|name| folder.join(name));
    match paths.iter().find(|path| !path.is_file()) {
        Some(missing) => Err(format!("{} is not built: run `make demo`, which builds it", missing.display()).into()),
        None => Ok(paths),
    }
}

/// Two registries, one of them with a statement that another tool put there; and whom the operator is.
fn world_file() -> Value {
    let trust = json!({"principals": [format!("arn:aws:iam::{HOME}:role/{CONTROLLER}")], "external_id": EXTERNAL_ID});
    let member = json!([{"name": MEMBER, "trust": trust}]);
    let backup = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "BackupsByTerraform",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::777788889999:root"},
            "Action": ["ecr:ReplicateImage", "ecr:CreateRepository"],
            "Resource": format!("arn:aws:ecr:{REGION}:{PRODUCTION}:repository/backup/*"),
        }],
    });
    // As docs/getting-started.md has it.
    let arn = |account: &str| format!("arn:aws:ecr:*:{account}:repository/*");
    let boundary = json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
            {
                "Effect": "Allow",
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:GetImageCopyStatus", "ecr:BatchImportUpstreamImage"],
                "Resource": [arn(PRODUCTION), arn(STAGING)],
            },
            {
                "Effect": "Allow",
                "Action": ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"],
                "Resource": arn(PRODUCTION),
            },
        ],
    });
    json!({
        "seed": 1,
        // About what AWS takes.
        "base_delay_ms": 50,
        "propagation_ms": 2_000,
        "accounts": [
            {
                "id": HOME,
                "roles": [{"name": CONTROLLER}],
                "access_keys": [{"id": ACCESS_KEY, "principal": format!("role/{CONTROLLER}")}],
            },
            {
                "id": PRODUCTION, "roles": member, "registries": [{"region": REGION, "policy": backup}],
                "managed_policies": {"ecr-operator-ptc-boundary": boundary},
            },
            {
                "id": STAGING, "roles": member, "managed_policies": {"ecr-operator-ptc-boundary": boundary},
                "registries": [{"region": REGION, "scope": "V1", "repositories": [{"name": "web/shop"}]}],
            },
        ],
    })
}

/// What a program says in its log right after these words: where it listens.
fn said(program: &mut Leashed, words: &str) -> Done<String> {
    Ok(until(&format!("a program says {words:?}"), PATIENCE, || {
        program.check()?;
        let log = program.last_lines();
        let after = log.split_once(words).and_then(|(_, rest)| rest.split_whitespace().next()).map(str::to_owned);
        Ok(after.ok_or(log))
    })?)
}

/// The definitions come from the program itself, so that they are always those of its version.
fn install_definitions(operator: &Path, plane: &ControlPlane, say: &Say) -> Done {
    say.command("ecr-permissions crds | kubectl apply -f -")?;
    let crds = std::process::Command::new(operator).arg("crds").output()?;
    if !crds.status.success() {
        return Err(format!("ecr-permissions crds: {}", String::from_utf8_lossy(&crds.stderr)).into());
    }
    say.output(&plane.kubectl_with_input(&["apply", "-f", "-"], &String::from_utf8_lossy(&crds.stdout))?)?;
    plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"])?;
    Ok(())
}

/// The operator as a script, because its surroundings are its own: this cluster, this AWS, and nothing of the person's.
fn operator_script(operator: &Path, plane: &ControlPlane, url: &str) -> Done<PathBuf> {
    let path = plane.folder().join("operator");
    let script = format!(
        "#!/bin/sh\nexport KUBECONFIG='{}' AWS_ENDPOINT_URL='{url}' AWS_EC2_METADATA_DISABLED=true\nexport AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY=any-will-do\nexec '{}' run --listen 127.0.0.1:0 --log-format text\n",
        plane.kubeconfig().display(),
        operator.display()
    );
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?;
    file.write_all(script.as_bytes())?;
    Ok(path)
}

/// kubectl at the top of the checkout, where the sample files are found by the names that are shown.
fn run_kubectl(plane: &ControlPlane, args: &[&str], input: &str) -> Done<Output> {
    let mut child = plane
        .kubectl_command()
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    Ok(child.wait_with_output()?)
}

/// A command line as it would be typed.
fn typed(program: &str, args: &[&str]) -> String {
    let plain = |arg: &str| arg.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=./,:@%+".contains(&b));
    let quoted = args.iter().map(|arg| if plain(arg) { (*arg).to_owned() } else { format!("'{arg}'") });
    std::iter::once(program.to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}
