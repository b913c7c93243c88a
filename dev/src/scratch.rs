//! One temporary folder, readable by its owner alone, that is taken away with its holder. It never removes anything
//! but the folder it made itself.

use std::fs::{self, DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, io};

use data_encoding::HEXLOWER;

use crate::Error;

// Waits for end-of-file as in leash.rs, then removes `$1`. A program that is being killed at that moment may still
// make a file in it, so once more if something is left.
const SWEEP: &str = r#"
while read -r _; do :; done
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  rm -rf "$1" 2>/dev/null
  [ -e "$1" ] || exit 0
  sleep 0.1
done
"#;

/// The folder. Set `DEV_KEEP=1` to keep it, logs and all.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    sweeper: Option<Child>,
}

impl Scratch {
    /// Makes a new, empty folder among the system's temporary ones.
    pub fn new() -> Result<Self, Error> {
        let doing = || Error::io("making a temporary folder");
        let path = env::temp_dir().join(format!("ecr-permissions-{}", random_hex().map_err(doing())?));
        DirBuilder::new().mode(0o700).create(&path).map_err(doing())?;
        // Without links in it: the path is compared with what programs report.
        let path = fs::canonicalize(&path).map_err(doing())?;
        let sweeper = if env::var_os("DEV_KEEP").is_some() { None } else { Some(sweeper(&path).map_err(doing())?) };
        Ok(Self { path, sweeper })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(mut sweeper) = self.sweeper.take() {
            drop(sweeper.stdin.take());
            let _ = sweeper.wait();
        }
    }
}

fn sweeper(path: &Path) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", SWEEP, "sh"])
        .arg(path)
        // Not in the folder that is to go, and not in a terminal's process group: a Ctrl-C must not end it first.
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// 128 bits from the system, in hexadecimal: enough for a name nobody else has, and for a token nobody guesses.
pub(crate) fn random_hex() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(HEXLOWER.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_folder_is_private_and_goes_with_its_holder() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(scratch);
        assert!(!path.exists());
    }
}
