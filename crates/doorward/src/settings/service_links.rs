//! The variables that Kubernetes sets in each container for every Service of its namespace. Those of a Service whose
//! name begins with `doorward` look like settings, but are not.

use std::net::{IpAddr, SocketAddr};

/// Whether a variable is one of those, by the exact form of its name and of its value.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let Some(rest) = name.strip_prefix("DOORWARD_") else { return false };
    // The Service's own name may contain these words too, so each place where they occur is tried.
    let words: Vec<&str> = rest.split('_').collect();
    (0..words.len()).filter_map(|at| words.get(at..)).any(|form| is_form(form, value))
}

fn is_form(form: &[&str], value: &str) -> bool {
    match form {
        ["SERVICE", "HOST"] => is_address(value),
        ["SERVICE", "PORT", ..] => is_port(value),
        ["PORT"] => is_target(value),
        ["PORT", number, protocol, field @ ..]
            if is_port(number) && is_protocol(&protocol.to_lowercase()) =>
        {
            match field {
                [] => is_target(value),
                ["PROTO"] => is_protocol(value),
                ["PORT"] => is_port(value),
                ["ADDR"] => is_address(value),
                _ => false,
            }
        }
        _ => false,
    }
}

/// `tcp://10.96.0.7:8080`
fn is_target(value: &str) -> bool {
    value
        .split_once("://")
        .is_some_and(|(protocol, address)| is_protocol(protocol) && address.parse::<SocketAddr>().is_ok())
}

fn is_protocol(text: &str) -> bool {
    ["tcp", "udp", "sctp"].contains(&text)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}
