//! The tests of this very program once more, over a backplane.

use std::{path::Path, time::Duration};

use tokio::process::Command;

/// Runs all tests of this program with their services connected to a backplane. Skipped are those whose path contains one of
/// these words, and those that call this.
pub async fn over(backplane: &str, skip: &[&str]) {
    let program = std::env::current_exe().expect("this program's path");
    let name = program.file_name().expect("a file").to_string_lossy().into_owned();
    let ran = Command::new(program)
        .args(["--test-threads=2", "--skip=r16_"])
        .args(skip.iter().map(|word| format!("--skip={word}")))
        .env("CAROLINA_TESTING_BACKPLANE", backplane)
        .env("RUST_BACKTRACE", "0")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .kill_on_drop(true)
        .output();
    let ran = tokio::time::timeout(Duration::from_secs(300), ran).await.expect("they end in time").expect("they run");
    let out = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{name}:\n{out}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(!out.contains(" 0 passed"), "{name} has run no test:\n{out}");
}
