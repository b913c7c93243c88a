//! Where the control plane's programs lie. It never builds and never downloads: a test that did so would time out
//! instead of saying what is missing.

use std::env;
use std::path::{Path, PathBuf};

use crate::Error;

/// The paths of the four programs.
#[derive(Debug, Clone)]
pub struct Assets {
    /// The API server's storage.
    pub etcd: PathBuf,
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// Namespace deletion, garbage collection, service accounts, Deployments.
    pub kube_controller_manager: PathBuf,
    /// The command line client, of the server's version.
    pub kubectl: PathBuf,
}

impl Assets {
    /// Finds the programs: in `KUBEBUILDER_ASSETS` if that has etcd, kube-apiserver and kubectl (a
    /// kube-controller-manager is rarely there, so it alone may come from the build), else in `target/tools/bin` of
    /// this checkout, where `make tools` puts them.
    pub fn find() -> Result<Self, Error> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin");
        Self::find_in(env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from).as_deref(), &own)
    }

    fn find_in(given: Option<&Path>, own: &Path) -> Result<Self, Error> {
        let complete = |folder: &&Path| ["etcd", "kube-apiserver", "kubectl"].iter().all(|p| folder.join(p).is_file());
        let given = given.filter(complete);
        let place = |program: &str| {
            given.map(|folder| folder.join(program)).filter(|path| path.is_file()).unwrap_or_else(|| own.join(program))
        };
        let assets = Self {
            etcd: place("etcd"),
            kube_apiserver: place("kube-apiserver"),
            kube_controller_manager: place("kube-controller-manager"),
            kubectl: place("kubectl"),
        };
        let programs = assets.missing();
        if programs.is_empty() { Ok(assets) } else { Err(Error::MissingAssets { folder: own.to_owned(), programs }) }
    }

    fn missing(&self) -> Vec<&'static str> {
        let Self { etcd, kube_apiserver, kube_controller_manager, kubectl } = self;
        [
            ("etcd", etcd),
            ("kube-apiserver", kube_apiserver),
            ("kube-controller-manager", kube_controller_manager),
            ("kubectl", kubectl),
        ]
        .into_iter()
        .filter(|(_, path)| !path.is_file())
        .map(|(name, _)| name)
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;
    use std::fs;

    fn folder(within: &Scratch, name: &str, programs: &[&str]) -> PathBuf {
        let folder = within.path().join(name);
        fs::create_dir(&folder).unwrap();
        for program in programs {
            fs::write(folder.join(program), "").unwrap();
        }
        folder
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_makes_it() {
        let scratch = Scratch::new().unwrap();
        let own = folder(&scratch, "own", &["etcd", "kubectl"]);
        let said = Assets::find_in(None, &own).unwrap_err().to_string();
        assert!(said.contains("kube-apiserver, kube-controller-manager"), "{said}");
        assert!(said.contains("make tools"), "{said}");
    }

    #[test]
    fn a_complete_set_of_the_machine_stands_in_and_the_rest_is_ours() {
        let scratch = Scratch::new().unwrap();
        let own = folder(&scratch, "own", &["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"]);
        let given = folder(&scratch, "given", &["etcd", "kube-apiserver", "kubectl"]);
        let assets = Assets::find_in(Some(&given), &own).unwrap();
        assert_eq!(assets.kube_apiserver, given.join("kube-apiserver"));
        assert_eq!(assets.kube_controller_manager, own.join("kube-controller-manager"));
    }

    #[test]
    fn half_a_set_of_the_machine_is_not_mixed_with_ours() {
        let scratch = Scratch::new().unwrap();
        let own = folder(&scratch, "own", &["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"]);
        let given = folder(&scratch, "given", &["etcd", "kubectl"]);
        let assets = Assets::find_in(Some(&given), &own).unwrap();
        assert_eq!((assets.etcd, assets.kubectl), (own.join("etcd"), own.join("kubectl")));
    }
}
