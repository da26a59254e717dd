//! The option `guard = path::to::function` of both attributes (rule R29).

use quote::ToTokens;
use syn::{Expr, ExprPath, Ident, Token, parse::ParseStream};

use crate::errors::Errors;

/// How a guard is written.
const FORM: &str = "`guard = path::to::function`";

/// Reads the value behind `guard =`, and adds it to the guards that were given before.
pub(crate) fn parse(
    word: &Ident,
    input: ParseStream<'_>,
    guards: &mut Vec<ExprPath>,
    errors: &mut Errors,
) -> syn::Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        needs_value(word, errors);
        return Ok(());
    }
    match input.parse()? {
        Expr::Path(path) => match guards.contains(&path) {
            true => errors.at(&path, format!("the guard `{}` is named twice; once is enough", name(&path))),
            false => guards.push(path),
        },
        several @ (Expr::Array(_) | Expr::Tuple(_)) => {
            errors.at(several, "several guards are written one by one: `guard = first, guard = second`");
        }
        Expr::Call(call) => {
            let function = call.func.to_token_stream();
            errors.at(&call, format!("a guard is named and not called: `guard = {function}`"));
        }
        other => errors.at(other, format!("a guard is a function, named by its path: {FORM}")),
    }
    Ok(())
}

/// Reports a `guard` without a function.
pub(crate) fn needs_value(word: &Ident, errors: &mut Errors) {
    errors.at(word, format!("`guard` needs a function: {FORM}"));
}

/// The path as it is written.
pub(crate) fn name(path: &ExprPath) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}
