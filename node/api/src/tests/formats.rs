//! How values are written.

use crate::accept::{Form, negotiate};
use crate::format;
use crate::params::Params;
use crate::rate_limit::{RateLimit, RateLimiter};
use axum::http::HeaderMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

#[test]
fn amount_has_seven_decimals() {
    for (stroops, text) in [
        (0, "0.0000000"),
        (1, "0.0000001"),
        (-1, "-0.0000001"),
        (10_000_000, "1.0000000"),
        (i64::MAX, "922337203685.4775807"),
        (i64::MIN, "-922337203685.4775808"),
    ] {
        assert_eq!(format::amount(stroops), text);
    }
}

#[test]
fn price_is_rounded_to_the_seventh_decimal() {
    for (n, d, text) in [
        (1, 3, "0.3333333"),
        (2, 3, "0.6666667"),
        (1, 20_000_000, "0.0000001"),
        (1, 20_000_001, "0.0000000"),
        (i32::MAX, 1, "2147483647.0000000"),
        (7, 0, "0.0000000"),
    ] {
        assert_eq!(format::price(n, d), text, "{n}/{d}");
    }
}

#[test]
fn time_is_in_utc_to_the_second() {
    for (milliseconds, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399_999, "2000-02-28T23:59:59Z"),
        (951_782_400_000, "2000-02-29T00:00:00Z"),
        (951_868_800_000, "2000-03-01T00:00:00Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00Z"),
        (1_735_689_599_000, "2024-12-31T23:59:59Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00Z"),
    ] {
        assert_eq!(format::time(milliseconds), text);
    }
}

#[test]
fn code_loses_its_padding_only() {
    assert_eq!(format::code(b"EUR\0"), "EUR");
    assert_eq!(format::code(b"\0\0\0\0"), "");
    assert_eq!(format::code(b"A\0B\0"), "A\0B");
}

#[test]
fn parameters_are_read_as_browsers_write_them() {
    let params = |text: &str| {
        Params::parse(text.as_bytes()).map(|params| {
            params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
        })
    };
    for (text, pairs) in [
        ("", vec![]),
        ("a=1&b=2", vec![("a", "1"), ("b", "2")]),
        ("a=x%2By+z%3d&&c", vec![("a", "x+y z="), ("c", "")]),
        ("a=b=c", vec![("a", "b=c")]),
        ("a=%", vec![("a", "%")]),
        ("a=%2", vec![("a", "%2")]),
        ("a=%zz%41", vec![("a", "%zzA")]),
        ("%61=%C3%A9", vec![("a", "é")]),
    ] {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(params(text).ok(), Some(pairs), "{text}");
    }
    assert!(params("a=%ff").is_err(), "not UTF-8");
}

#[test]
fn accept_header_chooses_among_the_forms() {
    let all = [Form::Hal, Form::Json, Form::EventStream, Form::Html];
    for (accept, form) in [
        (None, Some(Form::Hal)),
        (Some(""), Some(Form::Hal)),
        (Some("*/*"), Some(Form::Hal)),
        (Some("application/json, text/plain, */*"), Some(Form::Json)),
        (Some("application/*"), Some(Form::Hal)),
        (Some("text/event-stream"), Some(Form::EventStream)),
        (Some("application/json;q=0.5, text/event-stream"), Some(Form::EventStream)),
        (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Some(Form::Html)),
        (Some("image/png"), None),
        (Some("application/json;q=0"), None),
        (Some("TEXT/HTML"), Some(Form::Html)),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert("accept", accept.parse().expect("a header"));
        }
        assert_eq!(negotiate(&headers, &all).ok(), form, "{accept:?}");
    }
}

#[test]
fn rate_limiter_grants_a_burst_and_then_what_flows_in() {
    let limiter = RateLimiter::new(RateLimit { burst: 3, period: Duration::from_secs(30) });
    let start = Instant::now();
    let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().expect("ip"), "192.0.2.2".parse().expect("ip"));
    let take = |address, seconds| limiter.take(address, start + Duration::from_secs(seconds));
    assert_eq!([take(one, 0).remaining, take(one, 0).remaining, take(one, 0).remaining], [2, 1, 0]);
    let refused = take(one, 1);
    assert!(!refused.granted);
    assert_eq!(refused.reset.as_secs(), 9, "a tenth each second");
    assert!(take(other, 1).granted, "another address has its own");
    assert!(take(one, 10).granted);
    assert!(!take(one, 10).granted);
    assert_eq!(take(one, 10_000).remaining, 2, "never more than the burst");
}

#[test]
fn rate_limiter_counts_an_ipv6_network_as_one_client() {
    let limiter = RateLimiter::new(RateLimit { burst: 1, period: Duration::from_secs(30) });
    let now = Instant::now();
    let take = |text: &str| limiter.take(text.parse().expect("ip"), now).granted;
    assert!(take("2001:db8:0:1::1"));
    assert!(!take("2001:db8:0:1:ffff::2"));
    assert!(take("2001:db8:0:2::1"));
    assert!(take("192.0.2.7"));
    assert!(!take("::ffff:192.0.2.7"), "the same address in its longer form");
}
