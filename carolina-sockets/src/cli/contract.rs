use std::{io::Write, path::Path};

use super::{Contract as Command, usage_error};
use crate::{
    config::Reading,
    contract::{Comparison, Contract, compare},
    error::{Error, Result},
    service::Settings,
};

/// Writes the contract of what these settings would serve, or compares it.
pub(super) fn run(settings: Settings, command: &Command) -> Result {
    let contract = contract(settings)?;
    let form = &command.form;
    if let Some(file) = &form.check {
        return check(&contract, file);
    }
    for note in contract.notes() {
        eprintln!("{note}");
    }
    let text = if form.typescript {
        contract.typescript()
    } else if form.asyncapi {
        contract.asyncapi()
    } else {
        contract.json_schema()
    };
    match &command.out {
        Some(file) => {
            std::fs::write(file, text).map_err(|error| Error::io(format!("cannot write `{}`", file.display()), error))
        }
        None => std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| Error::io("cannot write to standard output", error)),
    }
}

fn contract(mut settings: Settings) -> Result<Contract> {
    let reading = settings.config.take().map_or_else(Reading::system, Reading::of);
    // State is provided when the application serves; it is not checked here.
    let (config, plan) = settings.plan(reading, &|_| true)?;
    Ok(Contract::of(&plan, &config))
}

/// Fails if clients of the contract in the file would break.
fn check(contract: &Contract, file: &Path) -> Result {
    let before =
        std::fs::read_to_string(file).map_err(|error| Error::io(format!("cannot read `{}`", file.display()), error))?;
    let now = contract.json_schema();
    let Comparison { breaking, compatible } = compare(&before, &now)
        .map_err(|problem| usage_error(format!("cannot compare with `{}`: {problem}", file.display())))?;
    for line in &compatible {
        println!("compatible: {line}");
    }
    match breaking.len() {
        0 if compatible.is_empty() => println!("equal to `{}`", file.display()),
        0 => println!("clients of `{}` are served as before", file.display()),
        count => {
            let lines: Vec<String> = breaking.iter().map(|line| format!("\n  breaking: {line}")).collect();
            let changes = if count == 1 { "change breaks" } else { "changes break" };
            return Err(usage_error(format!("{count} {changes} clients of `{}`:{}", file.display(), lines.concat())));
        }
    }
    Ok(())
}
