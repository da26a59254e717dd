//! The contract (rules R21 and R22): the documents by their official readers, the comparison as a command, the page in a browser, and emits that are not
//! declared.

use std::{path::Path, process::Output};

use carolina_sockets::{
    prelude::*,
    testing::{Client, TestService},
};
use carolina_sockets_tests::{Log, by_hand, process::Folder, program, start};
use tokio::process::Command;

/// The program with payloads of every kind.
fn application() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-contract"));
    // Without the configuration of the folder that the tests run in.
    command.current_dir(std::env::temp_dir()).kill_on_drop(true);
    command
}

async fn contract(arguments: &[&str]) -> Output {
    application().arg("contract").args(arguments).output().await.expect("the program runs")
}

async fn written(form: &str, file: &Path) {
    let ran = contract(&[form, "--out", file.to_str().expect("a path in UTF-8")]).await;
    assert!(ran.status.success() && ran.stdout.is_empty(), "{ran:?}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text in UTF-8")
}

#[tokio::test]
async fn r21_the_types_fit_the_official_client_and_the_front_end_package() {
    let ran = contract(&["--typescript"]).await;
    assert!(ran.status.success(), "{ran:?}");
    let committed = std::fs::read_to_string(program::e2e().join("types/contract.d.ts")).unwrap();
    assert!(
        text(&ran.stdout) == committed,
        "tests/e2e/types/contract.d.ts is not what the program writes: write it anew by `cargo run --bin test-contract -- contract --typescript --out tests/e2e/types/contract.d.ts`"
    );
    // Correct and wrong uses: each wrong one is marked as an error to be expected, and an error if it is none.
    for arguments in [&["-p", "types"][..], &["--strict", "--noEmit", "types/contract.d.ts"]] {
        let mut compiler = Command::new("node_modules/.bin/tsc");
        let ran = compiler.args(arguments).current_dir(program::e2e()).output().await.unwrap();
        assert!(ran.status.success(), "{}", text(&ran.stdout));
    }
}

#[tokio::test]
async fn r21_the_official_readers_accept_the_documents_and_the_server_keeps_to_them() {
    let folder = Folder::new();
    let (schema, asyncapi) = (folder.path().join("schema.json"), folder.path().join("asyncapi.json"));
    written("--json-schema", &schema).await;
    written("--asyncapi", &asyncapi).await;
    let mut server = program::start(&mut application()).await;
    program::node("contract.mjs", &[schema.to_str().unwrap(), asyncapi.to_str().unwrap(), &server.url]).await;
    server.process.kill().await.unwrap();
}

/// The examples that serve channels, and the programs of tests. `test-quickstart` is the quickstart with commands; the worker has no channels.
#[tokio::test(flavor = "multi_thread")]
async fn r21_the_documents_of_every_example_are_sound_and_kept_to() {
    // The node for tests has events that end it or take their time.
    for (name, is_driven) in [("test-quickstart", true), ("login", true), ("chat", true), ("test-node", false)] {
        let folder = Folder::new();
        let program = || {
            let mut command = Command::new(program::path(name));
            let limits = "CAROLINA_LIMITS__EVENTS_PER_SECOND";
            command.current_dir(folder.path()).env("CAROLINA_SESSION__STORE", "memory").env(limits, "10000");
            command
        };
        let mut files = Vec::new();
        for form in ["--json-schema", "--asyncapi", "--typescript"] {
            let file = folder.path().join(form.trim_start_matches('-')).with_extension("d.ts");
            let ran = program().args(["contract", form, "--out"]).arg(&file).output().await.unwrap();
            assert!(ran.status.success(), "{name} {form}: {ran:?}");
            let checked = program().args(["contract", "--check"]).arg(&file).output().await.unwrap();
            assert!(text(&checked.stdout).starts_with("equal to"), "{name} {form}: {checked:?}");
            files.push(file.to_str().expect("a path in UTF-8").to_owned());
        }
        let mut compiler = Command::new("node_modules/.bin/tsc");
        let ran =
            compiler.args(["--strict", "--noEmit", &files[2]]).current_dir(program::e2e()).output().await.unwrap();
        assert!(ran.status.success(), "{name}: {}", text(&ran.stdout));
        if is_driven {
            let mut server = program::start(&mut program()).await;
            let sent = program::node("documents.mjs", &[&files[0], &files[1], &server.url]).await;
            assert!(sent.trim().parse::<u32>().is_ok_and(|sent| sent > 3), "{name}: {sent}");
            server.process.kill().await.unwrap();
        } else {
            program::node("documents.mjs", &[&files[0], &files[1]]).await;
        }
    }
}

#[tokio::test]
async fn r21_what_has_no_schema_is_told() {
    let ran = contract(&["--json-schema"]).await;
    let told = text(&ran.stderr);
    for expected in [
        "`/custom`: `opaque` is taken with `test_contract::Opaque`, which has no schema and is `unknown`",
        "`/custom`: `opaque` is emitted with `test_contract::Opaque`",
        "`/custom`: `hidden` is answered with `impl Serialize`",
        "the type `Welcome`, `number`: an integer beyond 2^53",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[tokio::test]
async fn r21_equal_sources_give_equal_bytes() {
    for form in ["--typescript", "--asyncapi", "--json-schema"] {
        let (one, other) = (
            contract(&[form]).await,
            application().args(["contract", form]).env("CAROLINA_BIND", "0.0.0.0:1").output().await.unwrap(),
        );
        assert!(!one.stdout.is_empty() && one.stdout == other.stdout, "{form}");
    }
}

#[tokio::test]
async fn r22_a_contract_is_compared_with_each_of_its_forms() {
    let folder = Folder::new();
    for form in ["--typescript", "--asyncapi", "--json-schema"] {
        let file = folder.path().join(form);
        let path = file.to_str().unwrap();
        written(form, &file).await;
        let equal = contract(&["--check", path]).await;
        assert!(equal.status.success() && text(&equal.stdout).starts_with("equal to"), "{form}: {equal:?}");

        // As if the server had taken and emitted something else before.
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, before.replace("deskName", "deskLabel")).unwrap();
        let broken = contract(&["--check", path]).await;
        assert_eq!(broken.status.code(), Some(1), "{form}: {broken:?}");
        let told = text(&broken.stderr);
        assert!(
            told.contains("`/custom`, `checkin`, taken, at [0].deskName: was not there, is required string"),
            "{form}: {told}"
        );
        std::fs::write(&file, before.replace("\"many\"", "\"less\"").replace("send.many", "send.less")).unwrap();
        let broken = contract(&["--check", path]).await;
        assert!(!broken.status.success(), "{form}: {broken:?}");
        assert!(
            text(&broken.stderr).contains("`/custom`, `less`: the event is not emitted any more"),
            "{form}: {broken:?}"
        );
    }
    let missing = contract(&["--check", "no-such-file"]).await;
    assert!(text(&missing.stderr).contains("cannot read `no-such-file`"), "{missing:?}");
    let neither = contract(&[]).await;
    assert_eq!(neither.status.code(), Some(2), "{neither:?}");
}

/// Copies what is in a folder, but for what is installed or built there.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        match name.to_str() {
            Some("node_modules" | "dist" | "e2e") => {}
            _ if path.is_dir() => copy(&path, &to.join(name)),
            _ => drop(std::fs::copy(path, to.join(name)).unwrap()),
        }
    }
}

#[tokio::test]
async fn r22_a_field_that_is_changed_in_rust_fails_the_chats_page_and_the_check() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = Folder::new();
    // A workspace with the chat alone, whose page finds the front-end package where it is here.
    let chat = folder.path().join("examples/chat");
    copy(&library.join("examples/chat"), &chat);
    let manifest = std::fs::read_to_string(library.join("Cargo.toml")).unwrap();
    let mut lines: Vec<String> = manifest.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if line.starts_with("members = ") {
            *line = "members = [\"examples/chat\"]".to_owned();
        }
        *line = line.replace("path = \"", &format!("path = \"{}/", library.display()));
    }
    std::fs::write(folder.path().join("Cargo.toml"), lines.join("\n")).unwrap();
    std::fs::copy(library.join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();
    std::os::unix::fs::symlink(library.join("carolina-sockets"), folder.path().join("carolina-sockets")).unwrap();
    let packages = library.join("examples/chat/web/node_modules");
    std::os::unix::fs::symlink(packages, chat.join("web/node_modules")).unwrap();

    let source = chat.join("src/house.rs");
    let before = std::fs::read_to_string(&source).unwrap();
    let now = before.replacen("    pub text: String,", "    #[serde(rename = \"body\")]\n    pub text: String,", 1);
    assert_ne!(before, now, "the chat's message has a text");
    std::fs::write(&source, now).unwrap();

    let contract = async |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.args(["run", "--quiet", "--offline", "--", "contract"]).args(arguments).current_dir(&chat);
        command.env("CARGO_TARGET_DIR", library.join("target/generated")).env_remove("RUSTFLAGS");
        command.kill_on_drop(true).output().await.unwrap()
    };
    let checked = contract(&["--check", "web/src/contract.d.ts"]).await;
    let told = text(&checked.stderr);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert!(told.contains("].text: was required string, is not there"), "{told}");

    let page = async || {
        let mut compiler = Command::new("node_modules/.bin/tsc");
        compiler.args(["--noEmit", "--pretty", "false"]).current_dir(chat.join("web")).output().await.unwrap()
    };
    let sound = page().await;
    assert!(sound.status.success(), "{}", text(&sound.stdout));
    let written = contract(&["--typescript", "--out", "web/src/contract.d.ts"]).await;
    assert!(written.status.success(), "{written:?}");
    let broken = page().await;
    let told = text(&broken.stdout);
    assert!(!broken.status.success(), "{told}");
    // `src/chat.ts(93,32): error TS2339: Property 'text' does not exist on type 'Message'.`
    let found: Vec<&str> = told.lines().filter(|line| line.contains("'text'")).collect();
    assert!(!found.is_empty(), "{told}");
    for line in found {
        let (place, _) = line.split_once("): ").expect("a place");
        let (file, place) = place.split_once('(').expect("a place");
        let number: usize = place.split(',').next().unwrap().parse().expect("a line");
        let page = std::fs::read_to_string(chat.join("web").join(file)).unwrap();
        assert!(page.lines().nth(number - 1).is_some_and(|line| line.contains("text")), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r22_the_page_shows_the_contract_and_tries_it() {
    let mut server = program::start(application().env("CAROLINA_CONTRACT_PAGE", "true")).await;
    program::node("contract-page.mjs", &[&server.url]).await;
    server.process.kill().await.unwrap();
}

#[tokio::test]
async fn r22_the_page_is_off_by_default() {
    let mut server = program::start(&mut application()).await;
    let page = carolina_sockets_tests::wire::get(&format!("{}/contract", server.url)).await;
    assert!(page.starts_with("HTTP/1.1 404"), "{page}");
    server.process.kill().await.unwrap();
}

#[channel]
#[emits("declared", String)]
#[derive(Default)]
struct Declaring;

#[channel]
impl Declaring {
    #[on("declared")]
    async fn declared(&self, socket: Socket) -> Result<(), EventError> {
        socket.emit("declared", "text").await?;
        Ok(())
    }

    #[on("undeclared")]
    async fn undeclared(&self, socket: Socket) -> Result<(), EventError> {
        socket.emit("other", "text").await?; // the place
        socket.emit("other", "text").await?;
        socket.channel_handle().emit("broadcast", 1).await?;
        socket.channel_handle().to("room").emit("to-room", 1).await?;
        socket.channel_handle().emit_to_user("ada", "to-user", 1).await?;
        Ok(())
    }
}

#[channel]
#[derive(Default)]
struct Undeclaring;

async fn declaring() -> (TestService, Client) {
    let service = start(by_hand().mount::<Declaring>("/a").mount::<Undeclaring>("/b")).await;
    let client = service.connect("/a").await.unwrap();
    (service, client)
}

/// What a service says when it ends, if it does not end in silence.
fn said_at_the_end(service: TestService) -> Option<String> {
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(service)));
    ended.err().map(|said| *said.downcast::<String>().expect("a text"))
}

#[tokio::test]
async fn r22_declared_emits_pass() {
    let (service, mut client) = declaring().await;
    client.request::<()>("declared", ()).await.unwrap();
    // A channel that declares nothing may emit anything.
    service.sockets().of::<Undeclaring>().unwrap().emit("whatever", 1).await.unwrap();
    assert_eq!(said_at_the_end(service), None);
}

#[tokio::test]
async fn r22_undeclared_emits_fail_the_test_with_their_place_and_are_logged_once() {
    let log = Log::default();
    let writer = log.clone();
    let _guard = tracing::subscriber::set_default(
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish(),
    );
    let (service, mut client) = declaring().await;
    client.request::<()>("undeclared", ()).await.unwrap();
    let said = said_at_the_end(service).expect("it fails");
    let line = include_str!("contract.rs").lines().position(|line| line.ends_with("// the place")).unwrap() + 1;
    let place = format!("{}:{line}: `other` is emitted on `/a`", file!());
    assert!(said.contains(&place), "{place}: {said}");
    for event in ["broadcast", "to-room", "to-user"] {
        assert!(said.contains(&format!("`{event}` is emitted on `/a`")), "{event}: {said}");
    }
    assert!(said.contains("write `#[emits(\"other\", …)]`"), "{said}");
    assert_eq!(log.text().matches("`other` is emitted").count(), 1, "{}", log.text());
}
