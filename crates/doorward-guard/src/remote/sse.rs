//! Server-sent events, as the feed sends them: lines that end with LF or CRLF, fields `event`, `id` and `data`.

/// The longest line, and the most data of one event: ten times what the feed sends at once.
const MAX: usize = 1024 * 1024;

/// One event; its name is empty if the stream gives none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) data: String,
}

/// Parses events from bytes as they arrive.
#[derive(Default)]
pub(super) struct EventParser {
    line: Vec<u8>,
    event: Event,
}

/// The bytes are not a stream of events, or would take too much memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoEvents;

impl EventParser {
    /// Takes the next bytes, and returns the events that they complete.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Vec<Event>, NoEvents> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() > MAX {
                return Err(NoEvents);
            }
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = str::from_utf8(&line).map_err(|_| NoEvents)?;
                events.extend(self.take(line.trim_end_matches(['\n', '\r']))?);
            }
        }
        Ok(events)
    }

    fn take(&mut self, line: &str) -> Result<Option<Event>, NoEvents> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Ok(Some(event).filter(|event| *event != Event::default()));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" => self.event.id = Some(value.to_owned()),
            "data" if self.event.data.len() + value.len() > MAX => return Err(NoEvents),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment, or a field that is not used here.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_their_bytes_arrive() {
        let text = b": hello\r\nevent: revoked\nid: e-7\ndata: {\"sessions\":[]}\n\nevent:current\ndata:{}\r\n\r\nretry: 1\n\n";
        let whole = EventParser::default().read(text).unwrap();
        let mut one_by_one = EventParser::default();
        let pieces = text.iter().flat_map(|byte| one_by_one.read(&[*byte]).unwrap()).collect::<Vec<_>>();
        assert_eq!(whole, pieces);
        let named = |name: &str, id: Option<&str>, data: &str| Event {
            name: name.into(),
            id: id.map(Into::into),
            data: data.into(),
        };
        assert_eq!(whole, [named("revoked", Some("e-7"), "{\"sessions\":[]}"), named("current", None, "{}")]);
        let unnamed =
            EventParser::default().read(b": only a comment\n\nid: e-8\n\ndata: {\ndata: }\n\n").unwrap();
        assert_eq!(unnamed, [named("", Some("e-8"), ""), named("", None, "{\n}")]);
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory_without_one() {
        let mut parser = EventParser::default();
        assert_eq!(parser.read(&vec![b'x'; MAX]), Ok(Vec::new()));
        assert_eq!(parser.read(b"x"), Err(NoEvents));
        let mut parser = EventParser::default();
        let line = format!("data: {}\n", "x".repeat(MAX / 2));
        assert!(parser.read(line.as_bytes()).is_ok() && parser.read(line.as_bytes()).is_ok());
        assert_eq!(parser.read(line.as_bytes()), Err(NoEvents));
        assert_eq!(EventParser::default().read(b"data: \xff\n"), Err(NoEvents));
    }
}
