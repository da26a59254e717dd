//! One rule for paths, wherever a path is given.

use std::process::Stdio;

use carolina_sockets::{Config, Sockets, prelude::*};
use carolina_sockets_tests::program;
use tokio::process::Command;

#[channel]
#[derive(Default)]
struct Mounted;

/// What the macro refuses: each path, and the compiler's message. `compile_errors` keeps the messages true.
fn refused_by_the_macro() -> Vec<(String, &'static str)> {
    let source = include_str!("../ui/fail/channel/path_rule.rs");
    let paths = source.lines().filter_map(|line| line.strip_prefix("#[channel(")?.strip_suffix(")]"));
    // The escapes of these literals mean the same in JSON.
    let paths: Vec<String> = paths.map(|literal| serde_json::from_str(literal).unwrap()).collect();
    let messages = include_str!("../ui/fail/channel/path_rule.stderr");
    let messages: Vec<&str> = messages.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    assert_eq!(paths.len(), messages.len(), "the macro refuses each of the paths once: {messages:#?}");
    assert!(!paths.is_empty());
    paths.into_iter().zip(messages).collect()
}

#[tokio::test]
async fn macro_configuration_program_and_command_line_refuse_the_same_paths() {
    let folder = std::env::temp_dir().join(format!("carolina-paths-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("Cargo.toml"), "").unwrap();
    for (path, message) in refused_by_the_macro() {
        // The escapes of a JSON text mean the same in TOML.
        let key = serde_json::to_string(&path).unwrap();
        let file = Config::from_toml(&format!("[channels]\n{key} = {{ driver = 'Mounted' }}"), "web.toml");
        let file = file.unwrap_err().to_string();
        assert!(file.contains("web.toml:2: ") && file.contains(message), "{file}");

        let endpoint = Config::from_toml(&format!("[transport]\npath = {key}"), "web.toml").unwrap_err().to_string();
        assert!(endpoint.contains("transport.path: ") && endpoint.contains(message), "{endpoint}");

        let code = Config::default().channel(path.clone(), "Mounted");
        let code = Sockets::builder().discover(false).config(code).build().await.unwrap_err().to_string();
        assert!(code.contains(message), "{code}");

        let mounted = Sockets::builder().discover(false).mount::<Mounted>(path.clone()).build().await;
        let mounted = mounted.unwrap_err().to_string();
        assert!(mounted.contains("mount::<Mounted>") && mounted.contains(message), "{mounted}");

        let generate = Command::new(program::path("carolina"))
            .args(["generate", "channel", "MountedChannel"])
            .arg(format!("--path={path}"))
            .current_dir(&folder)
            .stdin(Stdio::null())
            .output();
        let generate = generate.await.unwrap();
        let told = String::from_utf8_lossy(&generate.stderr).into_owned();
        assert!(!generate.status.success() && told.contains(message), "{told}");
    }
    assert!(!folder.join("src").exists(), "nothing was written");
    std::fs::remove_dir_all(&folder).unwrap();
}
