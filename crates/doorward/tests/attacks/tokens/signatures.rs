//! Signatures that are almost valid.

use super::*;
use crate::support::decode;

const ALGORITHMS: [&[(&str, &str)]; 4] =
    [&[("JWT_SECRET", SECRET)], &[], &[("access.algorithm", "EdDSA")], &[("access.algorithm", "RS256")]];

#[tokio::test]
async fn j09_parts_of_two_tokens_make_no_third() {
    for settings in ALGORITHMS {
        let target = Target::with(settings).await;
        let (admin, user) = (parts(&target.admin.token().unwrap()), parts(&target.user.token().unwrap()));
        target.refuses(format!("{}.{}.{}", user[0], admin[1], user[2])).await;
        target.refuses(format!("{}.{}.{}", user[0], user[1], admin[2])).await;
        let respelt = encode(format!(" {}", Forger::after(&target.admin.token().unwrap()).own_header()));
        target.refuses(format!("{respelt}.{}.{}", admin[1], admin[2])).await;
        target.stands().await;
    }
}

#[tokio::test]
async fn j09_a_token_of_another_server_is_refused() {
    let (target, elsewhere) = (Target::new().await, Target::new().await);
    target.refuses(elsewhere.admin.token().unwrap()).await;
    // Nor with our own key's name on it.
    let [_, payload, signature] = parts(&elsewhere.admin.token().unwrap());
    let [header, ..] = parts(&target.admin.token().unwrap());
    target.refuses(format!("{header}.{payload}.{signature}")).await;
    target.stands().await;
}

#[tokio::test]
async fn j10_a_signature_that_is_cut_stretched_or_altered_is_none() {
    for settings in ALGORITHMS {
        let target = Target::with(settings).await;
        let token = target.admin.token().unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = decode(signature);
        let len = signature.len();
        let mut forged = vec![
            signature[..1].to_vec(),
            signature[..8].to_vec(),
            signature[..len / 2].to_vec(),
            signature[..len - 1].to_vec(),
            signature[1..].to_vec(),
            [signature.as_slice(), &[0]].concat(),
            [&[0], signature.as_slice()].concat(),
            [signature.as_slice(), &signature].concat(),
            vec![0; len],
            vec![0xff; len],
            signature.iter().rev().copied().collect(),
        ];
        forged.extend((0..len).step_by(5).map(|at| {
            let mut altered = signature.clone();
            altered[at] ^= 1 << (at % 8);
            altered
        }));
        for forged in forged {
            target.refuses(format!("{signed}.{}", encode(forged))).await;
        }
        target.stands().await;
    }
}

#[tokio::test]
async fn j10_a_session_secret_that_is_cut_stretched_or_altered_is_none() {
    let target = Target::new().await;
    let visitor = target.site.logged_in_by("lin", doorward_core::Mode::Session).await;
    let secret = visitor.cookie("__Host-sessionId").unwrap();
    let before = crate::support::state(&target.site).await;
    let bytes = decode(&secret);
    let mut forged: Vec<String> = [1, 8, 16, 31].into_iter().map(|len| encode(&bytes[..len])).collect();
    forged.extend([1, 8, 21, 42].into_iter().map(|len| secret[..len].to_owned()));
    forged.extend([
        format!("{secret}="),
        format!("{secret}A"),
        format!("{secret}{secret}"),
        String::new(),
        "x".repeat(8_000),
    ]);
    forged.extend((0..32).map(|at| {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        encode(altered)
    }));
    forged.extend([
        encode([0; 32]),
        encode([0xff; 32]),
        encode(bytes.iter().rev().copied().collect::<Vec<_>>()),
    ]);
    // The unused bits of the last letter: 32 bytes leave two.
    let (head, last) = secret.split_at(42);
    forged.push(format!("{head}{}", (last.as_bytes()[0] + 1) as char));
    for forged in forged {
        let cookie = format!("__Host-sessionId={forged}");
        target.refuses_header("token_invalid", "cookie", cookie.as_bytes()).await;
        target.ask("POST", "/logout", "cookie", cookie.as_bytes()).await.is_ok();
    }
    assert_eq!(crate::support::state(&target.site).await, before);
    visitor.get("/profile").await.is_ok();
}

#[tokio::test]
async fn j12_a_degenerate_ecdsa_signature_is_refused() {
    let order = b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\
        \xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
    let (zero, mut one, mut below) = ([0; 32], [0; 32], *order);
    (one[31], below[31]) = (1, 0x50);
    let target = Target::new().await;
    let token = target.admin.token().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for r in [&zero, &one, order, &below, &[0xff; 32]] {
        for s in [&zero, &one, order, &below, &[0xff; 32]] {
            target.refuses(format!("{signed}.{}", encode([*r, *s].concat()))).await;
        }
    }
    // The same signature in DER, as X.509 and TLS write it.
    let signature = decode(signature);
    let integer = |bytes: &[u8]| [&[2, 33, 0], bytes].concat();
    let both = [integer(&signature[..32]), integer(&signature[32..])].concat();
    target.refuses(format!("{signed}.{}", encode([vec![0x30, 70], both].concat()))).await;
    target.refuses(format!("{signed}.{}", encode([&zero, signature.as_slice()].concat()))).await;
    target.stands().await;
}

#[tokio::test]
async fn j13_a_malleable_ed25519_signature_is_refused() {
    let target = Target::with(&[("access.algorithm", "EdDSA")]).await;
    let token = target.admin.token().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let good = decode(signature);
    // S + L is S again to a verifier that doesn't check the range (RFC 8032 section 5.1.7).
    let order = b"\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14\
        \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10";
    let (mut malleable, mut carry) = (good.clone(), 0);
    for (digit, more) in malleable[32..].iter_mut().zip(order) {
        carry += u16::from(*digit) + u16::from(*more);
        *digit = carry as u8;
        carry >>= 8;
    }
    assert_ne!(malleable, good);
    target.refuses(format!("{signed}.{}", encode(malleable))).await;
    // The neutral element and other points of small order as R, with S = 0 and the real S.
    for (first, rest, last) in [(1, 0, 0), (0, 0, 0), (0xec, 0xff, 0x7f), (1, 0, 0x80), (0xee, 0xff, 0xff)] {
        let mut point = [rest; 32];
        (point[0], point[31]) = (first, last);
        target.refuses(format!("{signed}.{}", encode([point, [0; 32]].concat()))).await;
        target.refuses(format!("{signed}.{}", encode([&point, &good[32..]].concat()))).await;
    }
    target.stands().await;
}
