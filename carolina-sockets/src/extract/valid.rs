use std::fmt::Write;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use super::{Data, EventContext, FromEvent};
use crate::error::{EventError, Result, code};

/// [`Data<T>`](Data) whose value has passed the checks at its fields, which are those of [`validator`](crate::validator)
/// (rule R29). With the feature `valid`.
///
/// A payload that does not read as `T` is answered as with `Data`. One that reads and fails its checks is `invalid_payload` too; its details
/// are a list with a `path` and a `message` for each failed check. A path is made of the fields' names in Rust, with the positions in lists, as
/// `lines[0].amount`; in a `HashMap` the position says nothing.
///
/// The attribute `crate` tells the derive where the crate is. It is not needed when the application itself depends on `validator` 0.21. The elements of a list
/// whose `length` is checked derive `Serialize` as well, as `validator` asks for it.
///
/// ```
/// use carolina_sockets::prelude::*;
///
/// #[derive(Deserialize, Validate)]
/// #[validate(crate = "carolina_sockets::validator")]
/// struct SignUp {
///     #[validate(length(min = 2, max = 40))]
///     name: String,
///     #[validate(email(message = "write an address that you read"))]
///     mail: String,
/// }
///
/// #[channel("/accounts")]
/// #[derive(Default)]
/// struct Accounts;
///
/// #[channel]
/// impl Accounts {
///     /// `emit("sign-up", { name: "A", mail: "a" })` is answered with `invalid_payload`, and with these details:
///     /// `[{ path: "mail", message: "write an address that you read" },
///     ///   { path: "name", message: "must have a length of at least 2 and at most 40" }]`
///     #[on("sign-up")]
///     async fn sign_up(&self, Valid(sign_up): Valid<SignUp>) -> String {
///         format!("{} <{}>", sign_up.name, sign_up.mail)
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Valid<T>(pub T);

impl<T: DeserializeOwned + Validate + Send> FromEvent for Valid<T> {
    async fn from_event(context: &mut EventContext) -> Result<Self, EventError> {
        let Data(value) = Data::<T>::from_event(context).await?;
        match value.validate() {
            Ok(()) => Ok(Self(value)),
            Err(errors) => Err(invalid(&errors)),
        }
    }
}

/// A check that failed, as the client reads it.
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Failed {
    path: String,
    message: String,
}

fn invalid(errors: &ValidationErrors) -> EventError {
    let mut failed = Vec::new();
    collect(errors, "", &mut failed);
    // `validator` keeps them without an order.
    failed.sort();
    let told: Vec<String> = failed.iter().map(|Failed { path, message }| format!("`{path}` {message}")).collect();
    EventError::new(code::INVALID_PAYLOAD, format!("invalid payload: {}", told.join("; "))).details(failed)
}

/// The name under which `validator` keeps the errors of a list that is no field.
const LIST: &str = "_tmp_validator";

fn collect(errors: &ValidationErrors, parent: &str, failed: &mut Vec<Failed>) {
    for (field, kind) in errors.errors() {
        let path = match (parent, field.as_ref()) {
            (parent, LIST) => parent.to_owned(),
            ("", field) => field.to_owned(),
            (parent, field) => format!("{parent}.{field}"),
        };
        match kind {
            ValidationErrorsKind::Struct(errors) => collect(errors, &path, failed),
            ValidationErrorsKind::List(entries) => {
                for (position, errors) in entries {
                    collect(errors, &format!("{path}[{position}]"), failed);
                }
            }
            ValidationErrorsKind::Field(errors) => {
                failed.extend(errors.iter().map(|error| Failed { path: path.clone(), message: message(error) }));
            }
        }
    }
}

/// The message that the check was given, or one for its kind.
fn message(error: &ValidationError) -> String {
    if let Some(message) = &error.message {
        return message.to_string();
    }
    match error.code.as_ref() {
        "length" => bounds("must have a length of ", error),
        "range" => bounds("must be ", error),
        "email" => "must be an e-mail address".to_owned(),
        "url" => "must be a URL".to_owned(),
        "ip" | "ipv4" | "ipv6" => "must be an IP address".to_owned(),
        "required" => "must be given".to_owned(),
        "credit_card" => "must be the number of a credit card".to_owned(),
        "non_control_character" => "must have no control characters".to_owned(),
        "must_match" => "must be equal to the other field".to_owned(),
        "contains" => format!("must contain {}", parameter(error, "needle")),
        "does_not_contain" => format!("must not contain {}", parameter(error, "needle")),
        "regex" => "does not have the expected form".to_owned(),
        other => format!("does not pass the check `{other}`"),
    }
}

fn bounds(begin: &str, error: &ValidationError) -> String {
    let mut text = begin.to_owned();
    let known = [
        ("equal", "exactly"),
        ("min", "at least"),
        ("exclusive_min", "more than"),
        ("max", "at most"),
        ("exclusive_max", "less than"),
    ];
    let mut and = "";
    for (name, words) in known.into_iter().filter(|(name, _)| error.params.contains_key(*name)) {
        let _ = write!(text, "{and}{words} {}", parameter(error, name));
        and = " and ";
    }
    text
}

fn parameter(error: &ValidationError, name: &str) -> String {
    match error.params.get(name) {
        // Bounds of numbers come as floating-point numbers.
        Some(Value::Number(number)) => match number.as_f64() {
            Some(whole) if whole.fract() == 0.0 => format!("{whole:.0}"),
            _ => number.to_string(),
        },
        Some(value) => format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        None => String::new(),
    }
}
