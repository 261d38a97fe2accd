//! Where a sign-in goes on to: a path of ours, and nothing else.

/// Reads a `return_to`: a path that begins with exactly one `/`, without backslash or control character, of at most
/// 2 KiB, and neither /logout nor /refresh. `None` for everything else, which then means the default page (attacks O01 to O04).
pub(crate) fn return_to(text: &str) -> Option<&str> {
    let one_slash = text.starts_with('/') && !text.starts_with("//");
    let clean = text.len() <= 2_048 && text.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_end_matches('/').to_ascii_lowercase();
    let is_page = !path.ends_with("/logout") && !path.ends_with("/refresh");
    (one_slash && clean && is_page).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o01_to_o04_only_a_path_of_ours_is_returned_to() {
        for good in ["/", "/dashboard", "/a/b?c=d&e=%2F%2Fevil", "/a#b"] {
            assert_eq!(return_to(good), Some(good));
        }
        for bad in [
            "",
            "dashboard",
            "//evil",
            "///evil",
            "/\\evil",
            "\\\\evil",
            "https:evil",
            "https://evil",
            "http:///evil",
            " /a",
            "/a\n",
            "/\t/evil",
            "/a\r\nSet-Cookie: x",
            "javascript:alert(1)",
            "data:,x",
            "%2f%2fevil",
            "/a b",
            "/\u{2215}evil",
            "/logout",
            "/logout/",
            "/LOGOUT?x",
            "/auth/logout",
            "/refresh?return_to=%2Frefresh",
            &format!("/{}", "a".repeat(2_048)),
        ] {
            assert_eq!(return_to(bad), None, "{bad:?}");
        }
    }
}
