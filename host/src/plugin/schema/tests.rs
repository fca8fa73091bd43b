//! Schemas as authors and generators write them, and as somebody writes them who means harm.

use serde_json::{Value, json};

use super::*;

fn schema(source: Value) -> Schema {
    Schema::new(source).expect("a schema")
}

fn check(source: &Value, value: &Value) -> Result<(), String> {
    schema(source.clone()).check("the arguments", &value.to_string()).map_err(|unfit| unfit.to_string())
}

/// Each value with what is said of it; an empty text for what fits.
fn check_each(source: Value, values: &[(Value, &str)]) {
    for (value, said) in values {
        let found = check(&source, value).err().unwrap_or_default();
        let found = found.strip_prefix("the arguments").unwrap_or(&found);
        assert_eq!(found, *said, "{value} as {source}");
    }
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    let film = json!({
        "type": "object",
        "properties": {
            "prompt": { "type": "string", "minLength": 1, "maxLength": 5 },
            "seconds": { "type": "integer", "minimum": 1, "exclusiveMaximum": 10, "multipleOf": 2 },
            "size": { "enum": ["small", [1, 2]] },
            "tags": { "type": "array", "items": { "type": "string" }, "maxItems": 2, "uniqueItems": true },
        },
        "required": ["prompt"],
        "additionalProperties": false,
    });
    check_each(
        film,
        &[
            (json!({ "prompt": "äöüß€", "seconds": 4.0, "size": [1.0, 2], "tags": ["a", "b"] }), ""),
            (json!([]), ": it is array and must be object"),
            (json!({}), ": `prompt` is missing"),
            (json!({ "prompt": 1 }), " at /prompt: it is number and must be string"),
            (json!({ "prompt": "" }), " at /prompt: `minLength` is 1, and this has 0"),
            (json!({ "prompt": "a", "seconds": 1.5 }), " at /seconds: it is number and must be integer"),
            (
                json!({ "prompt": "a", "seconds": 10 }),
                " at /seconds: `exclusiveMaximum` is 10, and this has 10",
            ),
            (json!({ "prompt": "a", "seconds": 3 }), " at /seconds: `multipleOf` is 2, and this has 3"),
            (json!({ "prompt": "a", "size": "large" }), r#" at /size: it must be \"small\" or [1,2,]"#),
            (json!({ "prompt": "a", "tags": ["a", 1] }), " at /tags/1: it is number and must be string"),
            (json!({ "prompt": "a", "tags": ["a", "a"] }), " at /tags/1: it is there twice"),
            (json!({ "prompt": "a", "x/y": 1 }), " at /x~1y: nothing may be here"),
        ],
    );
}

#[test]
fn forms_refer_to_each_other_and_tell_what_got_furthest() {
    let step = json!({
        "$defs": { "step": { "oneOf": [
            { "type": "string", "enum": ["now", "stop"] },
            { "type": "object", "properties": { "all": { "items": { "$ref": "#/$defs/step" } } },
              "required": ["all"], "additionalProperties": false },
        ] } },
        "$ref": "#/%24defs/step",
    });
    check_each(
        step,
        &[
            (json!("now"), ""),
            (json!({ "all": ["now", { "all": [] }] }), ""),
            (json!(1), ": it has none of the 2 forms that it may have"),
            (
                json!({ "all": [{ "all": ["go"] }] }),
                " at /all/0/all/0: it has none of the 2 forms that it may have",
            ),
        ],
    );
    let both = json!({ "oneOf": [{ "minimum": 1 }, { "maximum": 5 }], "not": { "const": 7 } });
    check_each(
        both,
        &[
            (json!(8), ""),
            (json!(3), ": it has 2 forms at once and may have one"),
            (json!(7), ": it is what `not` says"),
        ],
    );
}

#[test]
fn the_rest_of_the_words_are_known() {
    let source = json!({
        "patternProperties": { "^n_\\d+$": { "type": "number" } },
        "propertyNames": { "maxLength": 4 },
        "minProperties": 1,
        "dependentRequired": { "a": ["b"] },
        "dependentSchemas": { "c": { "required": ["d"] } },
        "properties": {
            "l": { "prefixItems": [{ "const": 1 }], "items": false },
            "h": { "contains": { "const": 0 }, "maxContains": 1 },
        },
        "if": { "required": ["i"] }, "then": { "required": ["t"] }, "else": { "required": [] },
    });
    check_each(
        source,
        &[
            (json!({ "n_1": 1, "l": [1], "h": [0, 1] }), ""),
            (json!({}), ": `minProperties` is 1, and this has 0"),
            (json!({ "n_1": "1" }), " at /n_1: it is string and must be number"),
            (json!({ "n_1234": 1 }), " at /n_1234: `maxLength` is 4, and this has 6"),
            (json!({ "a": 1 }), ": `b` is missing"),
            (json!({ "c": 1 }), ": `d` is missing"),
            (json!({ "i": 1 }), ": `t` is missing"),
            (json!({ "l": [1, 2] }), " at /l/1: nothing may be here"),
            (json!({ "h": [] }), " at /h: 0 of its items are as `contains` says"),
        ],
    );
    let looks_ahead = json!({ "pattern": "^(?!a)" });
    assert_eq!(check(&looks_ahead, &json!("a")), Ok(()), "the plugin's own to check");
}

#[test]
fn a_schema_that_fits_everything_is_not_even_read_for() {
    for source in [json!(true), json!({}), json!({ "title": "anything", "format": "email" })] {
        assert_eq!(schema(source).check("it", "not even JSON"), Ok(()));
    }
    assert!(check(&json!(false), &json!(1)).is_err());
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    let long = format!("{}$", "a?".repeat(40_000));
    for (source, why) in [
        (json!(7), "at ``: a schema is an object"),
        (json!({ "items": [{}] }), "at `/items`: a schema is an object"),
        (json!({ "properties": { "a": { "type": "text" } } }), "at `/properties/a`: there is no type `text`"),
        (json!({ "$ref": "https://example.com/schema" }), "`#/` and a pointer into this schema"),
        (json!({ "$ref": "file:///etc/passwd" }), "`#/` and a pointer into this schema"),
        (json!({ "$ref": "#/$defs/none" }), "there is no such subschema"),
        (json!({ "minimum": "1" }), "`minimum` is no number"),
        (json!({ "pattern": "(a{1000}){1000}" }), "takes more than 65536 bytes"),
        (json!({ "allOf": vec![json!({ "pattern": "a" }); MAX_PATTERNS + 1] }), "more than 16 patterns"),
        (json!({ "description": long }), "at most 65536 may be used"),
        ((0..=MAX_SCHEMA_DEPTH).fold(json!({}), |inner, _| json!([inner])), "nested more than 64 deep"),
    ] {
        let refused = Schema::new(source).expect_err(why);
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn a_check_ends_whatever_the_schema_is() {
    // Each form of each level is tried for each form of the level above: 2 to the 40th.
    let doubled = json!({ "oneOf": [
        { "properties": { "a": { "$ref": "#" } }, "not": {} },
        { "properties": { "a": { "$ref": "#" } }, "not": {} },
    ] });
    let deep = (0..40).fold(json!({ "d": 1 }), |inner, _| json!({ "a": inner }));
    let for_ever = json!({ "allOf": [{ "$ref": "#" }] });
    let long = json!({ "not": { "$ref": "#" } });
    for (source, value) in [(doubled, deep), (for_ever, json!(1)), (long, json!({}))] {
        let source = schema(source);
        assert_eq!(source.check("it", &value.to_string()), Err(Unfit::TooCostly));
    }
    let backtracking = json!({ "pattern": "^(a+)+$" });
    let text = format!("{}b", "a".repeat(200_000));
    assert!(check(&backtracking, &json!(text)).is_err_and(|why| why.contains("does not match")));
}
