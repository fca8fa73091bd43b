//! Where a value goes and where it does not.

use std::collections::BTreeMap;
use std::time::Duration;

use sublane_core::Timestamp;
use sublane_core::grants::{Authority, HttpGrant, SecretGrant};

use super::*;
use crate::secrets::Redactor;

const SEED: [u8; 32] = [7; 32];
const VALUE: &str = "va/l\"u e&1";

fn secrets() -> Secrets {
    let secret = |loopback_without_tls| Secret { value: VALUE.into(), loopback_without_tls };
    let by_name = BTreeMap::from([("api".to_owned(), secret(false)), ("local".to_owned(), secret(true))]);
    Secrets { by_name: by_name.into(), redactor: Redactor::default() }
}

fn grants() -> Grants {
    let grant = |name: &str, place, audience: &str| SecretGrant {
        name: name.to_owned(),
        place,
        audience: audience.parse().expect("a target"),
    };
    let api = "https://api.example.com/v1";
    let side = Authority {
        http: vec![HttpGrant { to: api.parse().expect("a target"), methods: vec!["GET".to_owned()] }],
        secrets: vec![
            grant("api", Place::Header("authorization".to_owned()), api),
            grant("api", Place::Query("key".to_owned()), api),
            grant("api", Place::Body("auth".to_owned()), api),
            grant("api", Place::Header("x-plain".to_owned()), "http://127.0.0.1"),
            grant("local", Place::Header("x-plain".to_owned()), "http://127.0.0.1"),
            grant("local", Place::Header("x-plain".to_owned()), "http://example.com"),
            grant("absent", Place::Header("authorization".to_owned()), api),
        ],
        timeout: Duration::from_secs(60),
        ..Authority::default()
    };
    Grants::root(&side, &side, Timestamp(0), 1 << 20).0
}

/// A request with `{NAME}` for the placeholder of a secret; what it is then, or why not.
fn placed(url: &str, header: (&str, &str), body: &str) -> Result<(String, String, String), String> {
    let fill = |text: &str| {
        ["api", "local", "absent", "nobody"].iter().fold(text.to_owned(), |text, name| {
            text.replace(&format!("{{{name}}}"), &placeholder(&SEED, name))
        })
    };
    let url = Url::parse(&fill(url)).expect("a URL");
    let headers = [(fill(header.0), fill(header.1))];
    place(&secrets(), &grants(), &SEED, &url, &headers, &Payload::Bytes(fill(body).into()))
        .map(|placed| {
            let Payload::Bytes(body) = placed.payload else { panic!("a body stays one") };
            let body = String::from_utf8(body.to_vec()).expect("a text");
            (placed.url.to_string(), placed.headers[0].1.clone(), body)
        })
        .map_err(|misuse| misuse.to_string().replace(&placeholder(&SEED, "nobody"), "{nobody}"))
}

const API: &str = "https://api.example.com/v1/x";

#[test]
fn a_value_goes_where_the_grants_say() {
    assert_eq!(
        placed(
            &format!("{API}?a=1&key={{api}}&b"),
            ("authorization", "Bearer {api}"),
            r#"{"n": 1.0e400000, "auth": {"keys": ["{api}", "a {api} b"]}, "z": 1}"#.replace("1.0e400000", "1.50").as_str(),
        ),
        Ok((
            format!("{API}?a=1&key=va%2Fl%22u%20e%261&b"),
            format!("Bearer {VALUE}"),
            r#"{"n": 1.50, "auth": {"keys": ["va/l\"u e&1", "a va/l\"u e&1 b"]}, "z": 1}"#.to_owned()
        ))
    );
    let plain = placed("http://127.0.0.1/", ("x-plain", "{local}"), "");
    assert_eq!(plain.map(|(_, header, _)| header).as_deref(), Ok(VALUE));
}

#[test]
fn a_value_goes_nowhere_else() {
    let none = ("x", "y");
    for (url, header, body, why) in [
        (API, ("x-key", "{api}"), "", "denied: secrets api in header x-key to https://api.example.com/v1/x"),
        (
            "https://api.example.com/v2",
            ("authorization", "{api}"),
            "",
            "denied: secrets api in header authorization to https://api.example.com/v2",
        ),
        (
            "https://evil.example/v1",
            ("authorization", "{api}"),
            "",
            "denied: secrets api in header authorization to https://evil.example/v1",
        ),
        (
            "https://api.example.com/v1?q={api}",
            none,
            "",
            "denied: secrets api in query q to https://api.example.com/v1",
        ),
        (
            API,
            none,
            r#"{"other": "{api}"}"#,
            "denied: secrets api in body other to https://api.example.com/v1/x",
        ),
        ("https://api.example.com/v1/{api}", none, "", "a placeholder stands in the path of the URL"),
        ("https://api.example.com/v1?{api}=x", none, "", "a placeholder stands in the name of a parameter"),
        (API, ("x-{api}", "y"), "", "a placeholder stands in the name of a header"),
        (API, none, "{api}", "a placeholder stands in a body that is no JSON object"),
        (API, none, r#"["{api}"]"#, "a placeholder stands in a body that is no JSON object"),
        (API, none, r#"{"auth": {"{api}": 1}}"#, "a placeholder stands in the name of a member"),
        (
            API,
            none,
            r#"{"auth": "{api}", "auth": 1}"#,
            "a placeholder stands in a member that is named twice",
        ),
        (
            API,
            ("authorization", "{nobody}"),
            "",
            "the request holds a placeholder that is none of this run's",
        ),
        (
            API,
            ("x", "sublane-secret-short"),
            "",
            "the request holds a placeholder that is none of this run's",
        ),
        (API, ("authorization", "{absent}"), "", "there is no secret `absent`"),
        ("http://127.0.0.1/", ("x-plain", "{api}"), "", "secret `api` goes over https:// only"),
        ("http://example.com/", ("x-plain", "{local}"), "", "secret `local` goes over https:// only"),
    ] {
        let refused = placed(url, header, body).expect_err(why);
        assert!(refused.starts_with(why), "{refused}");
        assert!(!refused.contains("va/l"), "{refused}");
    }
}

#[test]
fn another_run_has_another_placeholder() {
    assert_eq!(placeholder(&SEED, "api"), placeholder(&SEED, "api"));
    assert_ne!(placeholder(&SEED, "api"), placeholder(&[8; 32], "api"));
    assert_ne!(placeholder(&SEED, "api"), placeholder(&SEED, "local"));
    let url = Url::parse(API).expect("a URL");
    let headers = [("authorization".to_owned(), placeholder(&[8; 32], "api"))];
    let refused = place(&secrets(), &grants(), &SEED, &url, &headers, &Payload::None);
    assert!(matches!(refused.err(), Some(Misuse::Unknown)));
}
