//! What a span needs to know of a request: the trace that it belongs to (`traceparent`, W3C Trace Context, version 00),
//! and who sent it.

use std::net::IpAddr;

use http::HeaderMap;

/// The trace that a trusted proxy began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    pub(crate) trace: [u8; 16],
    pub(crate) span: [u8; 8],
    /// Whether the proxy records this trace.
    pub(crate) is_sampled: bool,
}

/// What a span needs to know of a request, and a drawn flow doesn't show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// The span of the proxy that sent it.
    pub(crate) parent: Option<TraceParent>,
    /// Who sent it; only with `otel.personal`.
    pub(crate) origin: Option<TraceOrigin>,
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceOrigin {
    pub(crate) ip: IpAddr,
    pub(crate) user_agent: Option<String>,
}

impl TraceParent {
    /// Reads the header; `None` unless there is exactly one, in its exact form. Whether its sender is to be believed is
    /// the caller's question.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all("traceparent").iter();
        let (line, None) = (lines.next()?, lines.next()) else { return None };
        let line: &[u8; 55] = line.as_bytes().try_into().ok()?;
        let mut parts = line.split(|byte| *byte == b'-');
        let (b"00", trace, span, flags, None) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next())
        else {
            return None;
        };
        let (trace, span, [flags]) = (bytes(trace)?, bytes(span)?, bytes::<1>(flags)?);
        let is_valid = trace != [0; 16] && span != [0; 8];
        is_valid.then_some(Self { trace, span, is_sampled: flags & 1 == 1 })
    }
}

/// Exactly so many bytes in lower-case hexadecimal.
fn bytes<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn read(lines: &[&str]) -> Option<TraceParent> {
        let lines =
            lines.iter().map(|line| (http::HeaderName::from_static("traceparent"), line.parse().unwrap()));
        TraceParent::read(&lines.collect())
    }

    #[test]
    fn the_exact_form_is_read_with_its_flag() {
        let parent = read(&[&format!("00-{TRACE}-{SPAN}-01")]).unwrap();
        assert_eq!(parent.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
        assert_eq!(parent.span, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
        for (flags, is_sampled) in [("00", false), ("01", true), ("02", false), ("03", true), ("ff", true)] {
            let parent = read(&[&format!("00-{TRACE}-{SPAN}-{flags}")]).unwrap();
            assert_eq!(parent.is_sampled, is_sampled, "{flags}");
        }
    }

    #[test]
    fn any_other_form_is_no_parent() {
        let (trace, span) = (TRACE, SPAN);
        let upper = TRACE.to_uppercase();
        for wrong in [
            String::new(),
            "00".into(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-1"),
            format!("00-{trace}-{span}-01-"),
            format!("00-{trace}-{span}-01-00"),
            format!("00-{trace}-{span}-0g"),
            format!("00-{trace}-{span}-0A"),
            format!("01-{trace}-{span}-01"),
            format!("ff-{trace}-{span}-01"),
            format!("0-{trace}0-{span}-01"),
            format!("00-{upper}-{span}-01"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{span}-{trace}-01"),
            format!("00_{trace}_{span}_01"),
            format!("00-{trace}-{span}-01, 00-{trace}-{span}-01"),
            format!("00-{}é-{span}-01", &trace[2..]),
            format!("00-+{}-{span}-01", &trace[1..]),
        ] {
            assert_eq!(read(&[&wrong]), None, "{wrong:?}");
        }
    }

    #[test]
    fn two_headers_are_none() {
        let line = format!("00-{TRACE}-{SPAN}-01");
        assert!(read(&[&line]).is_some());
        assert_eq!(read(&[&line, &line]), None);
        assert_eq!(read(&[]), None);
    }
}
