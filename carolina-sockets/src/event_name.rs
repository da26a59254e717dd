//! The names of events that Socket.IO's clients use for themselves (rule R30). The macros include this file through a
//! symbolic link.

/// The names. An official client that receives such an event from the server closes its connection with `parse error`.
pub(crate) const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// What to write instead of emitting an event of this name; `None` if the name is free.
#[allow(dead_code, reason = "the macros only need the names")]
pub(crate) fn instead_of(event: &str) -> Option<&'static str> {
    if !RESERVED.contains(&event) {
        return None;
    }
    Some(match event {
        "connect" => {
            "every client gets it when it joins the channel; call an event of your own otherwise, for example `joined`"
        }
        "connect_error" => {
            "to refuse a client return an error from `#[on(authorize)]`; call an event of your own otherwise, for example `failed`"
        }
        "disconnect" => {
            "to disconnect clients write `disconnect()`; call an event of your own otherwise, for example `left`"
        }
        "disconnecting" => "call the event otherwise, for example `leaving`",
        _ => "clients emit it to themselves; call the event otherwise, for example `listener-added`",
    })
}
