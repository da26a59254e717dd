//! The command line: `cargo run -- generate channel X`, `cargo run -- channels` and `cargo run` inside an application,
//! `carolina new` and `carolina generate` outside of one.

mod channels;
mod check;
#[cfg(feature = "contract")]
mod contract;
mod generate;
mod name;
mod new;

use std::{fmt, future::IntoFuture, io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    error::{Error, Result},
    private::BoxFuture,
    service::{Serve, serve, serve_setters, setters},
};

/// An application's command line; without a command, it serves.
#[derive(Parser)]
#[command(about = "Serves the application; or one of these:", disable_help_subcommand = true)]
struct AppCli {
    /// Print the application's version
    #[arg(short = 'V', long)]
    version: bool,
    #[command(subcommand)]
    command: Option<AppCommand>,
}

#[derive(Subcommand)]
enum AppCommand {
    /// Writes code
    #[command(subcommand)]
    Generate(Generate),
    /// Lists the channels: paths, drivers, events, rates and other options, and where each is declared; limits and doors
    Channels {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Writes what the channels take, answer and emit, or compares it with what was written before
    Contract(Contract),
    /// Looks for what would go wrong in production, and says what to do; exits with code 1 if there is an error
    Check {
        /// Exits with code 1 for warnings too
        #[arg(long)]
        strict: bool,
    },
    /// Serves the application, as no command does
    Serve,
}

/// Makes live web applications.
#[derive(Parser)]
#[command(name = "carolina", about, version, disable_help_subcommand = true, arg_required_else_help = true)]
struct ToolCli {
    #[command(subcommand)]
    command: ToolCommand,
}

#[derive(Subcommand)]
enum ToolCommand {
    /// Makes an application: a page, a channel and a test
    New {
        /// The folder to make, which names the package
        folder: PathBuf,
        /// Depends on the library in this folder instead of the one that this program was built from
        #[arg(long, value_name = "PATH")]
        library: Option<PathBuf>,
    },
    /// Writes code into the application of this folder
    #[command(subcommand)]
    Generate(Generate),
}

#[derive(Subcommand)]
enum Generate {
    /// Writes a channel with a test to src/channels/
    Channel(GenerateChannel),
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct ContractForm {
    /// As types for TypeScript
    #[arg(long)]
    typescript: bool,
    /// As AsyncAPI 3
    #[arg(long)]
    asyncapi: bool,
    /// As one JSON Schema, draft 2020-12
    #[arg(long)]
    json_schema: bool,
    /// Compares it with what was written to this file before, in any of these forms; fails if clients of that would break
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    check: Option<PathBuf>,
}

#[derive(Args)]
struct Contract {
    #[command(flatten)]
    form: ContractForm,
    /// The file to write, instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[cfg(not(feature = "contract"))]
mod contract {
    use super::{Contract, Result, usage_error};
    use crate::service::Settings;

    pub(super) fn run(_: Settings, command: &Contract) -> Result {
        let _ = (
            &command.out,
            command.form.typescript,
            command.form.asyncapi,
            command.form.json_schema,
            &command.form.check,
        );
        Err(usage_error("this program was built without it; enable the feature `contract` of carolina-sockets"))
    }
}

#[derive(Args)]
struct GenerateChannel {
    /// The channel's struct, such as MyCustomChannel
    name: String,
    /// Where it is mounted; by default its name, as /my-custom
    #[arg(long)]
    path: Option<String>,
    /// Lets in only sockets with a user
    #[arg(long)]
    private: bool,
}

impl Generate {
    fn run(self) -> Result {
        let Self::Channel(GenerateChannel { name, path, private }) = self;
        let written = generate::channel(std::path::Path::new("."), &name, path.as_deref(), private)?;
        print(&format!("wrote {}", written.file.display()))?;
        if let Some(list) = written.list {
            let (file, line) = (list.file.display(), &list.line);
            print(&if list.added {
                format!("added `{line}` to {file}")
            } else {
                format!("\nadd this line to {file}, or nothing compiles it:\n\n    {line}")
            })?;
            if !generate::is_linked(std::path::Path::new(".")) {
                print(
                    "\nnothing in src/main.rs or src/lib.rs compiles that file yet; this line does:\n\n    mod channels;",
                )?;
            }
        } else if !generate::is_linked(std::path::Path::new(".")) {
            print(
                "\nnothing in src/main.rs or src/lib.rs compiles it yet; this line does, and every later channel:\n\n    \
                 mod channels { automod::dir!(\"src/channels\"); }\n\n\
                 with `cargo add automod`, and `carolina-sockets` with the feature `testing` among the dev-dependencies",
            )?;
        }
        Ok(())
    }
}

/// Runs an application by its command line: `carolina_sockets::cli().await` in `main`.
///
/// | command | does |
/// |---|---|
/// | (none), `serve` | serves, as [`serve`](crate::serve) does |
/// | `generate channel MyCustomChannel [--path /custom] [--private]` | writes `src/channels/my_custom_channel.rs` |
/// | `contract --typescript`, `--asyncapi`, `--json-schema` `[--out FILE]` | writes what the channels take, answer and emit (rule R21) |
/// | `contract --check FILE` | compares that with what was written before, and fails if clients would break (rule R22) |
/// | `channels [--json]` | lists what is mounted, and where it is declared; the limits, and where which clients come in |
/// | `check [--strict]` | reads the configuration, opens stores and backplane, looks at files, clock, secret, origins and proxies, asks itself over loopback, and says what is wrong and what to do |
/// | `--version` | prints the version that [`Cli::version`] gives |
///
/// # Errors
///
/// When awaited: those of [`serve`](crate::serve), or of the command. An invalid command line exits the process with
/// code 2 and prints the usage.
pub fn cli() -> Cli {
    Cli { serve: serve(), version: None }
}

/// Returned by [`cli`]; configure it like [`Serve`] and await it.
#[must_use = "nothing happens until this is awaited"]
#[derive(Debug)]
pub struct Cli {
    serve: Serve,
    version: Option<String>,
}

impl Cli {
    /// The application's version, which `--version` prints: `.version(env!("CARGO_PKG_VERSION"))`.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }
}

setters!(Cli, serve.settings);
serve_setters!(Cli, serve);

impl IntoFuture for Cli {
    type Output = Result;
    type IntoFuture = BoxFuture<'static, Result>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let asked = AppCli::parse();
            if asked.version {
                return print(&version(self.version.as_deref()));
            }
            match asked.command {
                None | Some(AppCommand::Serve) => self.serve.await,
                Some(AppCommand::Generate(generate)) => generate.run(),
                Some(AppCommand::Contract(command)) => contract::run(self.serve.settings, &command),
                Some(AppCommand::Check { strict }) => {
                    let findings = check::check(self.serve).await;
                    print(&findings.to_string())?;
                    findings.into_result(strict)
                }
                Some(AppCommand::Channels { json }) => print(&channels::list(self.serve.settings, json)?),
            }
        })
    }
}

/// Prints to standard output. A reader that has seen enough, such as `head`, may have closed it.
fn print(text: &str) -> Result {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("cannot write", error)),
        _ => Ok(()),
    }
}

/// The application's name and version.
fn version(version: Option<&str>) -> String {
    let program = std::env::args_os().next().map(PathBuf::from);
    let name = program.as_deref().and_then(|path| path.file_stem()).unwrap_or_default().to_string_lossy();
    match version {
        Some(version) => format!("{name} {version}"),
        None => format!(
            "{name}, with carolina-sockets {}; `cli().version(env!(\"CARGO_PKG_VERSION\"))` has it print its own version",
            env!("CARGO_PKG_VERSION")
        ),
    }
}

/// The program `carolina`.
pub(crate) fn carolina() -> ExitCode {
    let done = match ToolCli::parse().command {
        ToolCommand::New { folder, library } => new::application(&folder, library.as_deref())
            .and_then(|()| print(&format!("made {0}; start it with\n\n    cd {0}\n    cargo run\n", folder.display()))),
        ToolCommand::Generate(generate) => generate.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// An error in the command line's arguments.
fn usage_error(message: impl fmt::Display) -> Error {
    Error::Command(message.to_string())
}
