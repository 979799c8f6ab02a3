//! The values of docker's flags that are one line of comma-separated fields, as in RFC 4180.

/// The fields of a value. One that holds commas stands in quotation marks. `None` where those are
/// misplaced, or where there is a second line, of which docker's readers differ in what they make.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    if line.contains(['\n', '\r']) {
        return None;
    }
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_field(quoted)?
        } else {
            let (field, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            if field.contains('"') {
                return None;
            }
            (field.to_owned(), after)
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None if after.is_empty() => return Some(fields),
            None => return None,
        }
    }
}

/// The value that has these fields.
pub(super) fn join(fields: &[String]) -> String {
    let written = |field: &String| {
        if field.contains([',', '"']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.clone() }
    };
    fields.iter().map(written).collect::<Vec<_>>().join(",")
}

/// Reads on to the closing quotation mark; a doubled one stands for itself.
fn quoted_field(mut rest: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        field.push_str(part);
        let Some(after_double) = after.strip_prefix('"') else { return Some((field, after)) };
        field.push('"');
        rest = after_double;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_split() {
        for (line, fields) in [
            ("", Some(vec![""])),
            ("a", Some(vec!["a"])),
            ("a,,b=c", Some(vec!["a", "", "b=c"])),
            ("\"a,b\",c", Some(vec!["a,b", "c"])),
            ("\"a\"\"b\"", Some(vec!["a\"b"])),
            ("\"\"", Some(vec![""])),
            ("a\"b", None),
            ("\"a", None),
            ("\"a\"b", None),
            ("a\nb", None),
        ] {
            let fields = fields.map(|fields| fields.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(split(line), fields, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_joined_is_split_again(fields in proptest::collection::vec("[a=\", ]{0,5}", 1..5)) {
            prop_assert_eq!(split(&join(&fields)), Some(fields));
        }
    }
}
