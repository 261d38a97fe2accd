//! What a request says about the format of its body.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// The supported media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    Json,
    Form,
    /// None of them; the text says what is wrong.
    Other(&'static str),
}

impl MediaType {
    /// The type itself decides, exactly but for the case (attack C09). Of its parameters only a charset other than
    /// UTF-8 counts: programs send many, in many ways.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(CONTENT_TYPE).iter().filter(|value| !value.is_empty());
        let value = match (values.next(), values.next()) {
            (None, _) => return Self::Other("The body has no Content-Type"),
            (Some(value), None) => value.to_str().unwrap_or_default(),
            _ => return Self::Other("There are two Content-Types"),
        };
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let media_type = match essence.trim().to_ascii_lowercase().as_str() {
            "application/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Form,
            _ => return Self::Other("The Content-Type is not one that is read"),
        };
        if is_utf_8(parameters) { media_type } else { Self::Other("The charset is not UTF-8") }
    }
}

/// Whether no parameter says otherwise.
fn is_utf_8(parameters: &str) -> bool {
    let mut quoted = false;
    let of_its_own = |c: char| {
        quoted ^= c == '"';
        c == ';' && !quoted
    };
    parameters.split(of_its_own).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value =
            value.trim().trim_matches(['"', '\'']).trim().to_ascii_lowercase().replace(['-', '_'], "");
        !name.trim().eq_ignore_ascii_case("charset")
            || matches!(value.as_str(), "" | "utf8" | "ascii" | "usascii")
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(value: &'static str) -> MediaType {
        MediaType::of(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]))
    }

    #[test]
    fn the_type_is_exact_and_its_parameters_are_read_leniently() {
        for json in [
            "application/json",
            " Application/JSON ;",
            "application/json;charset=utf8",
            "application/json; charset=UTF-8; v=1",
            "application/json; odata=verbose; CharSet = 'utf-8'",
            "application/json; charset=\" utf_8 \"",
            "application/json;;charset=",
            "application/json; charset=US-ASCII",
            "application/json; profile=\"a;charset=utf-16;b\"",
            "application/json; profile",
        ] {
            assert_eq!(read(json), MediaType::Json, "{json}");
        }
        for other in [
            "text/plain; application/json",
            "text/plain;charset=utf-8;application/json",
            "application/json/",
            "application/jsonp",
            "application/json+x",
            "application /json",
            "application/json, application/json",
            "application/json charset=utf-8",
            "application/x-www-form-urlencodedx",
            "json",
            ";application/json",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; charset=latin1",
            "application/json; charset=utf-88",
            "application/x-www-form-urlencoded; charset=windows-1252",
        ] {
            assert!(matches!(read(other), MediaType::Other(_)), "{other}");
        }
    }
}
