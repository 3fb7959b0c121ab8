//! A Python virtual environment for tests, made once and stored in the cache.

use sha2::{Digest, Sha256};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The Python of the environment that has what a file lists (complete, as nothing else is installed). The first call on a
/// machine installs it from the package index of pip.
pub(crate) fn python(name: &str, requirements: &str) -> PathBuf {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join(requirements);
    let cache = cache();
    fs::create_dir_all(&cache).unwrap();
    // Another Python is another environment: what is installed fits one version.
    let version = output(Command::new("python3").arg("--version"), "python3 is missing; run scripts/setup");
    let content = [fs::read(&requirements).unwrap(), version].concat();
    let hash: String = Sha256::digest(content)[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    let venv = cache.join(format!("venv-{name}-{hash}"));
    let (python, complete) = (venv.join("bin/python"), venv.join("complete"));

    // Two tests at once: the second waits, then finds it in place.
    let lock = fs::File::create(cache.join(format!(".{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !complete.exists() {
        if venv.exists() {
            fs::remove_dir_all(&venv).unwrap();
        }
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).output();
        let made = made.expect("python3 was there a moment ago");
        assert!(made.status.success(), "python3 -m venv failed: run scripts/setup, it installs python3-venv\n{made:?}");
        output(
            Command::new(&python)
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
                .args(["--no-deps", "--no-compile", "--only-binary=:all:", "--retries=2", "--timeout=20", "-r"])
                .arg(&requirements),
            "pip could not install what the test needs; it needs pip's package index",
        );
        fs::write(complete, "").unwrap();
    }
    python
}

fn cache() -> PathBuf {
    let named = env::var_os("TRACKDROP_CACHE").filter(|path| !path.is_empty());
    named.map(PathBuf::from).unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap()).join(".cache/trackdrop"))
}

fn output(command: &mut Command, hint: &str) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{hint}\n{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{hint}\n{command:?}: {}\n{said}", output.status);
    output.stdout
}
