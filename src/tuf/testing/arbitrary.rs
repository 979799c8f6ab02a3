//! Random JSON for property tests.

use proptest::prelude::*;
use serde_json::Value;

use crate::tuf::canonical;

/// A text in which the characters that some rule is about are likelier than chance would have them.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        "\"", "\\", "<", ">", "&", "\u{2028}", "\u{2029}", "\u{2027}", "\\u003c", "e\u{301}", "/", "a", "A",
    ]);
    prop::collection::vec(
        prop_oneof![special.prop_map(str::to_owned), any::<char>().prop_map(String::from)],
        0..6,
    )
    .prop_map(|it| it.concat())
}

/// A value without fractions.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let integer = -(1_i64 << 53)..=(1_i64 << 53);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer.prop_map(Value::from),
        text().prop_map(Value::from)
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..6)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

/// An object of such values.
pub(crate) fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(text(), value(), 0..6).prop_map(|it| Value::Object(it.into_iter().collect()))
}

/// Whether a string of it holds a control character, which canonical form keeps and JSON does not allow.
pub(crate) fn has_control(value: &Value) -> bool {
    canonical::to_vec(value).unwrap().iter().any(|it| *it < 0x20)
}
