//! Times as people say them, in UTC, and addresses as they write them.

use doorward_core::email::Email;
use doorward_core::message::Message;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How long before `now` (Unix seconds) a time of the API was: "3 hours ago"; after a month, the day.
pub(super) fn ago(at: &str, now: i64) -> Option<Message> {
    let time = OffsetDateTime::parse(at, &Rfc3339).ok()?;
    Some(match now.saturating_sub(time.unix_timestamp()).max(0).unsigned_abs() {
        ..60 => Message::new("ago-now"),
        seconds @ 60..3_600 => Message::new("ago-minutes").with("count", seconds / 60),
        seconds @ 3_600..86_400 => Message::new("ago-hours").with("count", seconds / 3_600),
        seconds @ 86_400..2_592_000 => Message::new("ago-days").with("count", seconds / 86_400),
        _ => with_day(Message::new("ago-day"), time),
    })
}

/// An address of the API as people write it: with an international domain in its own letters.
pub(super) fn address(email: &str) -> String {
    Email::parse(email).map_or_else(|_| email.to_owned(), |email| email.shown())
}

/// The day of a time of the API: "3 March 2026".
pub(super) fn day(at: &str) -> Option<Message> {
    let time = OffsetDateTime::parse(at, &Rfc3339).ok()?;
    Some(with_day(Message::new("day"), time))
}

/// The minute of a time of the API: "3 March 2026, 08:05 UTC".
pub(super) fn moment(at: &str) -> Option<Message> {
    let time = OffsetDateTime::parse(at, &Rfc3339).ok()?;
    let [hour, minute] = [time.hour(), time.minute()].map(|part| format!("{part:02}"));
    Some(with_day(Message::new("moment"), time).with("hour", hour).with("minute", minute))
}

/// How many seconds to wait, rounded up: "1 second", "3 minutes".
pub(super) fn wait(seconds: u64) -> Message {
    match seconds {
        ..60 => Message::new("wait-seconds").with("count", seconds),
        _ => Message::new("wait-minutes").with("count", seconds.div_ceil(60)),
    }
}

fn with_day(message: Message, time: OffsetDateTime) -> Message {
    let year = time.year().unsigned_abs();
    let message = message.with("day", u64::from(time.day())).with("month", u64::from(u8::from(time.month())));
    message.with("year", u64::from(year))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::{Language, Texts};
    use crate::wire::TEXTS;

    fn said(message: Option<Message>) -> Option<String> {
        let texts = Texts::new(&Language::english([TEXTS.into()]));
        message.map(|message| texts.say(&message).into_owned())
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let now = 1_800_000_000; // 2027-01-15T08:00:00Z
        for (at, expected) in [
            ("2027-01-15T08:00:30Z", "just now"),
            ("2027-01-15T07:59:01Z", "just now"),
            ("2027-01-15T07:59:00Z", "1 minute ago"),
            ("2027-01-15T05:00:00Z", "3 hours ago"),
            ("2027-01-14T08:00:00Z", "1 day ago"),
            ("2026-12-17T08:00:00Z", "29 days ago"),
            ("2026-12-16T08:00:00Z", "on 16 December 2026"),
        ] {
            assert_eq!(said(ago(at, now)).unwrap(), expected);
        }
        assert_eq!(ago("sometime", now), None);
    }

    #[test]
    fn a_moment_has_its_day_and_minute() {
        assert_eq!(said(moment("2027-01-05T08:05:30Z")).unwrap(), "5 January 2027, 08:05 UTC");
        assert_eq!(moment("sometime"), None);
    }

    #[test]
    fn nobody_is_told_to_wait_too_short() {
        let waits = [1, 59, 60, 61, 119].map(|seconds| said(Some(wait(seconds))).unwrap());
        assert_eq!(waits, ["1 second", "59 seconds", "1 minute", "2 minutes", "2 minutes"]);
    }
}
