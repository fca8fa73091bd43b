//! Where texts are cut, and that nothing of them is lost.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::delivery::{DeliveryBody, DeliveryData, DeliveryState};
use crate::id::{ConversationId, RunId};
use crate::time::Timestamp;

fn delivery(text: &str) -> Delivery {
    let body = DeliveryBody {
        kind: "run.succeeded".to_owned(),
        timestamp: "2026-11-22T10:00:00.000Z".to_owned(),
        data: DeliveryData {
            run: RunId([1; 16]),
            name: "film".to_owned(),
            agent: "video/render".to_owned(),
            conversation: ConversationId([2; 16]),
            text: text.to_owned(),
            value: serde_json::json!({ "frames": 96 }),
            artifacts: Vec::new(),
        },
    };
    Delivery {
        id: DeliveryId([3; 16]),
        run: RunId([1; 16]),
        conversation: ConversationId([2; 16]),
        destination: "webhook:films".parse().expect("a destination"),
        body: body.to_json(),
        state: DeliveryState::Sending,
        attempts: 1,
        next_at: Timestamp(0),
        created: Timestamp(0),
        since: Timestamp(0),
        note: String::new(),
    }
}

fn body(part: &Part) -> Value {
    serde_json::from_str(&part.delivery.body).expect("a body is JSON")
}

#[test]
fn a_text_is_cut_where_people_would() {
    let check = |text: &str, most, expected: &[&str]| assert_eq!(cut(text, most), expected);
    check("short", 5, &["short"]);
    check("", 5, &[""]);
    check("one two three", 8, &["one two ", "three"]);
    check("one. two.\n\nthree four five", 20, &["one. two.\n\n", "three four five"]);
    check("one. two.\r\n\r\nthree four five", 20, &["one. two.\r\n\r\n", "three four five"]);
    check("one two\nthree four", 14, &["one two\n", "three four"]);
    // A line that would leave the piece half empty is no place to cut.
    check("a\nbbb ccc ddd eee", 12, &["a\nbbb ccc ", "ddd eee"]);
    check("abcdefghij", 4, &["abcd", "efgh", "ij"]);
}

#[test]
fn nothing_that_people_see_as_one_is_cut() {
    // A family of four, a flag, an accent that is written behind its letter.
    for one in ["👨‍👩‍👧‍👦", "🇮🇸", "e\u{301}"] {
        let text = one.repeat(50);
        for piece in cut(&text, 30) {
            assert!(piece.len().is_multiple_of(one.len()), "{piece:?}");
        }
    }
    // One that is longer than a piece has to be; not within a character even so.
    let long = format!("a{}", "\u{301}".repeat(50));
    let pieces = cut(&long, 20);
    assert!(pieces.iter().all(|piece| units(piece) <= 20), "{pieces:?}");
    assert_eq!(pieces.concat(), long);
}

#[test]
fn the_last_part_has_the_type_the_value_and_the_files() {
    let text = "word ".repeat(100);
    let parts = parts(&delivery(&text), TextRule::Split(200)).expect("it is longer");
    let bodies: Vec<Value> = parts.iter().map(body).collect();
    assert_eq!(bodies.len(), 3);
    for first in &bodies[..2] {
        assert_eq!(first["type"], "run.part");
        assert!(first["data"].get("value").is_none() && first["data"].get("artifacts").is_none());
    }
    assert_eq!(
        (&bodies[2]["type"], &bodies[2]["data"]["value"]["frames"]),
        (&"run.succeeded".into(), &96.into())
    );
    let range = &bodies[1]["data"]["part"];
    let delivery = DeliveryId([3; 16]).to_string();
    assert_eq!(*range, serde_json::json!({ "delivery": delivery, "from": 200, "to": 400, "of": 500 }));
}

#[test]
fn what_fits_goes_as_it_is() {
    let text = "é".repeat(200);
    for rule in [TextRule::Whole, TextRule::Split(200), TextRule::Shorten(200)] {
        assert_eq!(parts(&delivery(&text), rule), None);
    }
    assert!(parts(&delivery(&format!("{text}.")), TextRule::Split(200)).is_some());
    // Whatever cannot be read is not ours to change.
    let mut broken = delivery("");
    broken.body = "x".repeat(500).into();
    assert_eq!(parts(&broken, TextRule::Split(200)), None);
}

#[test]
fn a_value_that_is_nested_deep_goes_along() {
    let mut deep = delivery(&"word ".repeat(100));
    let nested = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    deep.body = deep.body.replace(r#"{"frames":96}"#, &nested).into();
    let parts = parts(&deep, TextRule::Split(200)).expect("it is longer");
    assert!(parts.last().expect("there are some").delivery.body.contains(&nested));
}

#[test]
fn a_shortened_text_says_so_and_where_the_whole_is() {
    let parts = parts(&delivery(&"word ".repeat(100)), TextRule::Shorten(200)).expect("it is longer");
    let [part] = &parts[..] else { panic!("one") };
    let body = body(part);
    let text = body["data"]["text"].as_str().expect("a text");
    assert!(units(text) <= 200, "{text}");
    let expected = format!(
        "word…\n\n[109 of 500 characters. All of it: `sublane deliveries show {}`]",
        DeliveryId([3; 16])
    );
    assert!(text.ends_with(&expected), "{text}");
    assert_eq!((&body["type"], &body["data"]["value"]["frames"]), (&"run.succeeded".into(), &96.into()));
}

proptest! {
    #[test]
    fn parts_joined_are_the_text(
        text in prop::collection::vec("[a-z]{1,9}|[ \n\t]{1,3}|\r\n|👨‍👩‍👧‍👦|e\u{301}|\u{301}|漢|\\PC", 0..300),
        most in MIN_CHARS..600,
    ) {
        let text = text.concat();
        let whole = delivery(&text);
        let rule = TextRule::Split(most);
        let Some(parts) = parts(&whole, rule) else {
            prop_assert!(units(&text) <= most as usize);
            return Ok(());
        };
        let bodies: Vec<Value> = parts.iter().map(body).collect();
        let said = |body: &Value| body["data"]["text"].as_str().expect("a text").to_owned();
        let texts: Vec<String> = bodies.iter().map(said).collect();
        prop_assert_eq!(texts.concat(), text.clone());
        let mut at = 0;
        let mut ids = std::collections::BTreeSet::new();
        for ((part, body), said) in parts.iter().zip(&bodies).zip(&texts) {
            prop_assert!(!said.is_empty() && units(said) <= most as usize);
            let range = &body["data"]["part"];
            prop_assert_eq!(&range["from"], at);
            at += said.len();
            prop_assert_eq!(&range["to"], at);
            prop_assert_eq!(part.to as usize, at);
            prop_assert_eq!(&range["of"], text.len());
            prop_assert!(ids.insert(part.delivery.id), "each part has an id of its own");
        }
        // Nothing is cut within what people see as one.
        let borders: std::collections::BTreeSet<usize> =
            text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
        let longest = text.graphemes(true).map(units).max().unwrap_or_default();
        if longest <= most as usize {
            prop_assert!(parts.iter().all(|part| borders.contains(&(part.to as usize))));
        }
        // And once more it is the same, to the byte.
        prop_assert_eq!(super::parts(&whole, rule), Some(parts));
    }

    #[test]
    fn a_shortened_text_fits_and_begins_as_the_whole(text in "[a-zé漢 \n]{0,900}", most in MIN_CHARS..600) {
        let Some(parts) = parts(&delivery(&text), TextRule::Shorten(most)) else { return Ok(()) };
        prop_assert_eq!(parts.len(), 1);
        let body = body(&parts[0]);
        let said = body["data"]["text"].as_str().expect("a text");
        prop_assert!(units(said) <= most as usize);
        prop_assert!(said.starts_with(&text[..parts[0].to as usize]));
        prop_assert!(said[parts[0].to as usize..].starts_with('…'));
    }
}
