//! One record of CSV, as RFC 4180 has it.

/// What a text is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Csv {
    Fields(Vec<String>),
    /// The last quote is not closed: the record goes on in the next line.
    Open,
    /// A quote stands where none may.
    Wrong,
}

/// Reads a record, without the line break at its end.
pub(super) fn read(text: &str) -> Csv {
    let (mut fields, mut rest) = (Vec::new(), text);
    loop {
        let field = match rest.strip_prefix('"') {
            Some(quoted) => match end_of_quoted(quoted) {
                None => return Csv::Open,
                Some(end) => {
                    let (field, after) = quoted.split_at_checked(end).unwrap_or((quoted, ""));
                    rest = after.strip_prefix('"').unwrap_or(after);
                    if !rest.is_empty() && !rest.starts_with(',') {
                        return Csv::Wrong;
                    }
                    field.replace("\"\"", "\"")
                }
            },
            None => {
                let field = rest.split(',').next().unwrap_or_default();
                if field.contains('"') {
                    return Csv::Wrong;
                }
                rest = rest.strip_prefix(field).unwrap_or_default();
                field.to_owned()
            }
        };
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Csv::Fields(fields),
        }
    }
}

/// Where the closing quote stands: the first that is not doubled.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut quotes = text.match_indices('"').map(|(at, _)| at).peekable();
    while let Some(at) = quotes.next() {
        if quotes.next_if_eq(&(at + 1)).is_none() {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<String> {
        match read(text) {
            Csv::Fields(fields) => fields,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_record_is_split_at_commas_outside_of_quotes() {
        assert_eq!(fields("a,b,"), ["a", "b", ""]);
        assert_eq!(fields(""), [""]);
        assert_eq!(fields("\"a,b\",\"\",\"say \"\"hi\"\"\",\u{e9}"), ["a,b", "", "say \"hi\"", "\u{e9}"]);
        assert_eq!(fields("\"\"\"\""), ["\""]);
        assert_eq!(fields("\"two\nlines\",b"), ["two\nlines", "b"]);
    }

    #[test]
    fn a_quote_is_closed_at_the_end_of_its_field() {
        for open in ["\"", "a,\"b", "\"a\"\"", "\"\"\""] {
            assert_eq!(read(open), Csv::Open, "{open}");
        }
        for wrong in ["a\"b", "\"a\"b", "\"a\" ,b"] {
            assert_eq!(read(wrong), Csv::Wrong, "{wrong}");
        }
    }
}
