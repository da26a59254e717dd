//! The generator: what it writes compiles, passes its tests, and serves.

use std::{
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use carolina_sockets_tests::program;
use serde_json::Value;
use tokio::process::Command;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

async fn run(what: impl AsRef<std::ffi::OsStr>, arguments: &[&str], folder: &Path) -> Output {
    let target = workspace().join("target").join("generated");
    let ran = Command::new(what)
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .env_remove("RUSTFLAGS")
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(Duration::from_secs(900), ran).await.expect("within a quarter of an hour").unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_generated_application_is_built_tested_and_driven() {
    let folder = std::env::temp_dir().join(format!("carolina-generated-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let library = workspace();
    // It depends on the library that the program was built from.
    let made = run(program::path("carolina"), &["new", "my-app"], &folder).await;
    assert!(made.status.success(), "{}", text(&made));
    let app = folder.join("my-app");
    // The same versions as here, so that nothing is built or fetched twice.
    std::fs::copy(library.join("Cargo.lock"), app.join("Cargo.lock")).unwrap();

    let generated = run(
        program::path("carolina"),
        &["generate", "channel", "MyCustomChannel", "--path", "/custom", "--private"],
        &app,
    )
    .await;
    assert!(generated.status.success(), "{}", text(&generated));
    // The same command inside the application, found with no other edit.
    let generated = run("cargo", &["run", "--quiet", "--", "generate", "channel", "NewsChannel"], &app).await;
    assert!(
        generated.status.success() && text(&generated).contains("src/channels/news_channel.rs"),
        "{}",
        text(&generated)
    );
    let tested = run("cargo", &["test", "--quiet"], &app).await;
    assert!(tested.status.success() && text(&tested).contains("3 passed"), "{}", text(&tested));
    assert!(!text(&tested).contains("warning: unused"), "{}", text(&tested));

    let listed = run("cargo", &["run", "--quiet", "--", "channels", "--json"], &app).await;
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let channels = listed["channels"].as_array().unwrap();
    let paths: Vec<&str> = channels.iter().map(|channel| channel["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/", "/custom", "/hello", "/news"]);
    assert_eq!(
        (&channels[1]["private"], &channels[1]["driver"]),
        (&Value::Bool(true), &Value::from("MyCustomChannel"))
    );
    assert!(channels[1]["declared"].as_str().unwrap().starts_with("src/channels/my_custom_channel.rs:"));
    let table = run("cargo", &["run", "--quiet", "--", "channels"], &app).await;
    assert!(text(&table).contains("/news  NewsChannel") && !text(&table).contains('\u{1b}'), "{}", text(&table));

    let typed =
        run("cargo", &["run", "--quiet", "--", "contract", "--typescript", "--out", "contract.d.ts"], &app).await;
    assert!(typed.status.success() && typed.stderr.is_empty(), "{}", text(&typed));
    let checked = run("cargo", &["run", "--quiet", "--", "contract", "--check", "contract.d.ts"], &app).await;
    assert!(checked.status.success() && text(&checked).starts_with("equal to"), "{}", text(&checked));
    typed_page(&app).await;

    let mut command = Command::new("cargo");
    command
        .args(["run", "--quiet"])
        .current_dir(&app)
        .env("CARGO_TARGET_DIR", workspace().join("target").join("generated"));
    let mut server = program::start(&mut command).await;
    let page =
        carolina_sockets_tests::wire::exchange(&server.url, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let script = r#"
        import { io } from "socket.io-client";
        const socket = io(process.env.URL + "/hello");
        const answer = await socket.timeout(5000).emitWithAck("say", "hi");
        if (answer !== "hi") throw new Error(JSON.stringify(answer));
        socket.close();
        // The page takes its client from the application.
        const page = await (await fetch(process.env.URL)).text();
        const bundle = await (await fetch(process.env.URL + /<script src="(.*?)">/.exec(page)[1])).text();
        if (!bundle.includes("Socket.IO v4")) throw new Error(bundle);
    "#;
    let driven = Command::new("node")
        .args(["--input-type=module", "--eval", script])
        .env("URL", &server.url)
        .current_dir(program::e2e())
        .output();
    let driven = tokio::time::timeout(Duration::from_secs(30), driven).await.unwrap().unwrap();
    assert!(driven.status.success(), "{}", text(&driven));
    program::node("typed-page.mjs", &[&server.url]).await;
    server.process.kill().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Compiles a page that is typed by the application's contract, and lays it beside the application's own, with the packages that it imports.
async fn typed_page(app: &Path) {
    let folder = program::e2e().join(format!(".generated-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(app.join("contract.d.ts"), folder.join("contract.d.ts")).unwrap();
    let out = app.join("public/typed");
    let settings = serde_json::json!({
        "extends": "../types/tsconfig.json",
        "compilerOptions": { "noEmit": false, "rootDir": workspace(), "outDir": out },
        "include": ["*.ts"],
    });
    std::fs::write(folder.join("tsconfig.json"), settings.to_string()).unwrap();
    let page = r#"
        import WebSocketsSvc from "carolina-sockets";
        const hello = WebSocketsSvc.channel("/hello");
        hello.on("said", (text) => console.log(text.trim()));
        const said: string = await hello.request("say", "hello");
        document.body.dataset["said"] = said;
        await hello.request("say", "").catch((error) => {
          if (hello.failed("say", error) && error.code === "nothing_said") document.body.dataset["code"] = error.code;
        });
        export function misuse(): void {
          // @ts-expect-error -- another type
          void hello.request("say", 5);
          // @ts-expect-error -- the answer has another type
          const length: Promise<number> = hello.request("say", "hello");
          void length;
          // @ts-expect-error -- no such event is emitted
          hello.on("sad", () => {});
        }
    "#;
    std::fs::write(folder.join("page.ts"), page).unwrap();
    let compiled = run(program::e2e().join("node_modules/.bin/tsc"), &["-p", "."], &folder).await;
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(compiled.status.success(), "{}", text(&compiled));
    let client = program::e2e().join("node_modules/socket.io-client/dist/socket.io.esm.min.js");
    std::fs::copy(client, out.join("socket.io.js")).unwrap();
    // The server shows no folder whose name begins with a dot.
    let compiled = out.join("tests/e2e").join(folder.file_name().unwrap());
    std::fs::rename(compiled.join("page.js"), out.join("page.js")).unwrap();
    let html = r#"<!doctype html><title>typed</title><link rel="icon" href="data:,"><body>
        <script type="importmap">{ "imports": {
          "carolina-sockets": "/typed/carolina-sockets/frontend/src/index.js", "socket.io-client": "/typed/socket.io.js"
        } }</script>
        <script type="module" src="/typed/page.js"></script>"#;
    std::fs::write(app.join("public/typed.html"), html).unwrap();
}

#[tokio::test]
async fn wrong_command_lines_are_told_what_is_wrong() {
    let folder = std::env::temp_dir().join(format!("carolina-wrong-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("there")).unwrap();
    std::fs::write(folder.join("Cargo.toml"), "").unwrap();
    for (arguments, code, expected) in [
        (
            vec!["generate", "channel", "my-channel"],
            1,
            "`my-channel` is not a Rust identifier; did you mean `MyChannel`?",
        ),
        (vec!["generate", "channel", "struct"], 1, "Rust keyword"),
        (vec!["generate", "channel", "A", "--path", "a"], 1, "a path begins with `/`: write \"/a\""),
        (vec!["generate", "channel", "A", "--path", "/a b"], 1, "a path has no ` ` in it"),
        (vec!["generate", "chanel", "A"], 2, "channel"),
        (vec!["generate", "channel"], 2, "<NAME>"),
        (vec!["new", "there"], 1, "`there` already exists"),
        (vec!["new", "7up"], 1, "cannot name a package"),
        (vec!["new", "x", "--library", "/nowhere"], 1, "cannot find the library at `/nowhere`"),
        (vec!["new", "x", "--library", "there"], 1, "is not the folder of carolina-sockets"),
    ] {
        let ran = run(program::path("carolina"), &arguments, &folder).await;
        assert_eq!(ran.status.code(), Some(code), "{arguments:?}: {}", text(&ran));
        assert!(text(&ran).contains(expected), "{arguments:?}: {}", text(&ran));
        assert!(ran.stdout.is_empty(), "mistakes go to standard error");
    }
    let first = run(program::path("carolina"), &["generate", "channel", "TwiceChannel"], &folder).await;
    assert!(first.status.success(), "{}", text(&first));
    assert!(text(&first).contains("automod::dir!(\"src/channels\")"), "nothing takes it in: {}", text(&first));
    let second = run(program::path("carolina"), &["generate", "channel", "TwiceChannel"], &folder).await;
    assert!(!second.status.success() && text(&second).contains("already exists"), "{}", text(&second));
    // A list of modules that is kept by hand.
    std::fs::create_dir_all(folder.join("listed/src/channels")).unwrap();
    std::fs::write(folder.join("listed/Cargo.toml"), "").unwrap();
    std::fs::write(folder.join("listed/src/main.rs"), "mod channels;\n").unwrap();
    let list = folder.join("listed/src/channels/mod.rs");
    std::fs::write(&list, "pub mod chat;\n").unwrap();
    let added = run(program::path("carolina"), &["generate", "channel", "NewsChannel"], &folder.join("listed")).await;
    assert!(text(&added).contains("added `pub mod news_channel;` to ./src/channels/mod.rs"), "{}", text(&added));
    assert!(!text(&added).contains("automod"), "{}", text(&added));
    assert_eq!(std::fs::read_to_string(&list).unwrap(), "pub mod chat;\npub mod news_channel;\n");
    std::fs::write(&list, "// None yet.\n").unwrap();
    let told = run(program::path("carolina"), &["generate", "channel", "MoreChannel"], &folder.join("listed")).await;
    assert!(text(&told).contains("add this line to ./src/channels/mod.rs"), "{}", text(&told));
    assert!(text(&told).contains("\n    mod more_channel;"), "{}", text(&told));
    assert!(!folder.join("x").exists());
    let workspace = folder.join("workspace");
    std::fs::create_dir_all(&workspace).unwrap();
    std::fs::write(workspace.join("Cargo.toml"), "[workspace]\nmembers = [\"app\", \"model\"]\n").unwrap();
    let stray = run(program::path("carolina"), &["generate", "channel", "StrayChannel"], &workspace).await;
    assert!(text(&stray).contains("go to the application's folder, one of app, model"), "{}", text(&stray));
    assert_eq!(std::fs::read_dir(&workspace).unwrap().count(), 1, "nothing is written");
    std::fs::remove_dir_all(&folder).unwrap();
}
