//! Bounds of numbers, lengths and counts. Integers are compared exactly: beyond 2^53, floating point makes neighbours equal.

use std::cmp::Ordering;

use serde_json::Value;

use super::plain::{Plain, kind};

/// Which end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Least,
    Most,
}

fn compared(one: &Value, other: &Value) -> Ordering {
    let exact = |of: &Value| of.as_i64().map(i128::from).or_else(|| of.as_u64().map(i128::from));
    match (exact(one), exact(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// The bound that leaves less.
pub(super) fn tightest(one: &Value, other: &Value, limit: Limit) -> Value {
    let first = match limit {
        Limit::Least => compared(one, other).is_ge(),
        Limit::Most => compared(one, other).is_le(),
    };
    if first { one.clone() } else { other.clone() }
}

/// The bound of a number, and whether it is outside of the range itself.
fn of_number(of: &Plain, limit: Limit) -> Option<(Value, bool)> {
    let (inclusive, exclusive) = match limit {
        Limit::Least => ("minimum", "exclusiveMinimum"),
        Limit::Most => ("maximum", "exclusiveMaximum"),
    };
    // Of integers, the next one is the bound.
    let outside = of.get(exclusive).map(|bound| match bound.as_i64().filter(|_| kind(of) == "integer") {
        Some(bound) => {
            let next = if limit == Limit::Least { bound.checked_add(1) } else { bound.checked_sub(1) };
            (next.unwrap_or(bound).into(), next.is_none())
        }
        None => (bound.clone(), true),
    });
    match (of.get(inclusive), outside) {
        (Some(bound), Some((other, is_outside))) => {
            let is_same = compared(bound, &other).is_eq();
            let bound = tightest(bound, &other, limit);
            let is_outside = is_outside && (is_same || bound == other);
            Some((bound, is_outside))
        }
        (Some(bound), None) => Some((bound.clone(), false)),
        (None, outside) => outside,
    }
}

/// How the narrow one's bound stands to the wide one's: whether something of the narrow one is outside of it, and whether they differ.
fn stand(narrow: Option<(Value, bool)>, wide: Option<(Value, bool)>, limit: Limit) -> (bool, bool) {
    match (narrow, wide) {
        (None, None) => (false, false),
        (Some(_), None) => (false, true),
        (None, Some(_)) => (true, true),
        (Some((narrow, narrow_outside)), Some((wide, wide_outside))) => {
            let order = match limit {
                Limit::Least => compared(&narrow, &wide),
                Limit::Most => compared(&wide, &narrow),
            };
            match order {
                Ordering::Less => (true, true),
                Ordering::Equal => (wide_outside && !narrow_outside, wide_outside != narrow_outside),
                Ordering::Greater => (false, true),
            }
        }
    }
}

/// Compares both bounds of numbers.
pub(super) fn numbers(narrow: &Plain, wide: &Plain) -> (bool, bool) {
    let [one, other] =
        [Limit::Least, Limit::Most].map(|limit| stand(of_number(narrow, limit), of_number(wide, limit), limit));
    (one.0 || other.0, one.1 || other.1)
}

/// Compares both bounds of a length or count, which is never below zero.
pub(super) fn counts(narrow: &Plain, wide: &Plain, [least, most]: [&str; 2]) -> (bool, bool) {
    let bound = |of: &Plain, word: &str| {
        of.get(word).filter(|bound| **bound != 0 || word == most).map(|bound| (bound.clone(), false))
    };
    let one = stand(bound(narrow, least), bound(wide, least), Limit::Least);
    let other = stand(bound(narrow, most), bound(wide, most), Limit::Most);
    (one.0 || other.0, one.1 || other.1)
}

/// Whether a constant is within what a schema of its type asks for. Patterns and formats are not evaluated here: by these it never is.
pub(super) fn has_room(wide: &Plain, value: &Value) -> bool {
    let as_bounds = |word: [&str; 2], value: Value| Plain::from_iter(word.map(|word| (word.to_owned(), value.clone())));
    match value {
        Value::String(text) => {
            let length = as_bounds(["minLength", "maxLength"], text.chars().count().into());
            !wide.contains_key("pattern")
                && !wide.contains_key("format")
                && !counts(&length, wide, ["minLength", "maxLength"]).0
        }
        Value::Number(number) => {
            let exact = as_bounds(["minimum", "maximum"], number.clone().into());
            !numbers(&exact, wide).0 && wide.get("multipleOf").is_none_or(|step| is_multiple(value, step))
        }
        _ => true,
    }
}

/// Whether a number is a multiple of another, as far as both are integers.
pub(super) fn is_multiple(of: &Value, step: &Value) -> bool {
    matches!((of.as_i64(), step.as_i64()), (Some(of), Some(step)) if step != 0 && of % step == 0)
}
