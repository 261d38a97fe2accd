//! Times as people say them, in UTC, and addresses as they write them.

use doorward_core::email::Email;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How long before `now` (Unix seconds) a time of the API was: "3 hours ago"; after a month, the day.
pub(super) fn ago(at: &str, now: i64) -> String {
    let Ok(time) = OffsetDateTime::parse(at, &Rfc3339) else { return at.to_owned() };
    match now.saturating_sub(time.unix_timestamp()).max(0).unsigned_abs() {
        ..60 => "just now".into(),
        seconds @ 60..3_600 => format!("{} ago", count(seconds / 60, "minute")),
        seconds @ 3_600..86_400 => format!("{} ago", count(seconds / 3_600, "hour")),
        seconds @ 86_400..2_592_000 => format!("{} ago", count(seconds / 86_400, "day")),
        _ => format!("on {}", day(at)),
    }
}

/// An address of the API as people write it: with an international domain in its own letters.
pub(super) fn address(email: &str) -> String {
    Email::parse(email).map_or_else(|_| email.to_owned(), |email| email.shown())
}

/// The day of a time of the API: "3 March 2026".
pub(super) fn day(at: &str) -> String {
    let Ok(time) = OffsetDateTime::parse(at, &Rfc3339) else { return at.to_owned() };
    format!("{} {} {}", time.day(), time.month(), time.year())
}

/// The minute of a time of the API: "3 March 2026, 08:05 UTC".
pub(super) fn moment(at: &str) -> String {
    let Ok(time) = OffsetDateTime::parse(at, &Rfc3339) else { return at.to_owned() };
    format!("{}, {:02}:{:02} UTC", day(at), time.hour(), time.minute())
}

/// How many seconds to wait, rounded up: "1 second", "3 minutes".
pub(super) fn wait(seconds: u64) -> String {
    if seconds < 60 { count(seconds, "second") } else { count(seconds.div_ceil(60), "minute") }
}

fn count(count: u64, unit: &str) -> String {
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        let now = 1_800_000_000; // 2027-01-15T08:00:00Z
        for (at, said) in [
            ("2027-01-15T08:00:30Z", "just now"),
            ("2027-01-15T07:59:01Z", "just now"),
            ("2027-01-15T07:59:00Z", "1 minute ago"),
            ("2027-01-15T05:00:00Z", "3 hours ago"),
            ("2027-01-14T08:00:00Z", "1 day ago"),
            ("2026-12-17T08:00:00Z", "29 days ago"),
            ("2026-12-16T08:00:00Z", "on 16 December 2026"),
            ("sometime", "sometime"),
        ] {
            assert_eq!(ago(at, now), said);
        }
    }

    #[test]
    fn a_moment_has_its_day_and_minute() {
        assert_eq!(moment("2027-01-05T08:05:30Z"), "5 January 2027, 08:05 UTC");
        assert_eq!(moment("sometime"), "sometime");
    }

    #[test]
    fn nobody_is_told_to_wait_too_short() {
        let said = [1, 59, 60, 61, 119].map(wait);
        assert_eq!(said, ["1 second", "59 seconds", "1 minute", "2 minutes", "2 minutes"]);
    }
}
