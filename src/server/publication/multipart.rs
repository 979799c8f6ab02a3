//! Taking a `multipart/form-data` body apart, as Go's and docker's clients write it.
//!
//! The body is in memory already, bounded by whoever received it. A body without parts is one, too:
//! docker sends it when it signs what is signed already.

/// One part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// The file name as it was sent; parts without one have none.
    pub(super) file_name: Option<String>,
    pub(super) content: &'a [u8],
}

/// The parts of a body, in its order; or why it has none that could be told apart.
pub(super) fn parts<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, String> {
    let delimiter = format!("\r\n--{}", boundary(content_type)?).into_bytes();
    let mut parts = Vec::new();
    // The first delimiter may stand at the very beginning, where no line ends before it.
    let dashes = delimiter.get(2..).unwrap_or_default();
    let mut rest = match body.strip_prefix(dashes).filter(|it| Ending::of(it).is_some()) {
        Some(rest) => rest,
        None => split(body, &delimiter).ok_or("its boundary is nowhere in it")?.1,
    };
    loop {
        let after = match Ending::of(rest) {
            Some(Ending::Last) => return Ok(parts),
            Some(Ending::Part(after)) => after,
            None => return Err("a boundary is not followed by a line's end".to_owned()),
        };
        if parts.len() >= PART_LIMIT {
            return Err(format!("it has more than {PART_LIMIT} parts"));
        }
        let (head, content) = headers(after)?;
        let (content, behind) = split(content, &delimiter).ok_or("it ends before its last boundary")?;
        parts.push(Part { file_name: file_name(head)?, content });
        rest = behind;
    }
}

/// What stands behind a delimiter.
enum Ending<'a> {
    /// Nothing more comes.
    Last,
    /// A part starts here.
    Part(&'a [u8]),
}

impl<'a> Ending<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        if text.starts_with(b"--") {
            return Some(Self::Last);
        }
        let blanks = text.iter().take_while(|it| matches!(it, b' ' | b'\t')).count();
        text.get(blanks..)?.strip_prefix(b"\r\n").map(Self::Part)
    }
}

/// What is before and behind the first delimiter.
fn split<'a>(text: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.iter().position(|it| *it == b'\r')?;
        let (before, rest) = text.split_at_checked(at)?;
        if let Some(behind) = rest.strip_prefix(delimiter).filter(|it| Ending::of(it).is_some()) {
            return Some((before, behind));
        }
        from = at + 1;
    }
}

/// The headers of a part, and what is behind the empty line.
fn headers(part: &[u8]) -> Result<(&str, &[u8]), String> {
    if let Some(content) = part.strip_prefix(b"\r\n") {
        return Ok(("", content));
    }
    let head = part.get(..part.len().min(HEADER_LIMIT)).unwrap_or_default();
    let end = head.windows(4).position(|it| it == b"\r\n\r\n");
    let end = end.ok_or_else(|| format!("a part's headers do not end within {HEADER_LIMIT} bytes"))?;
    let (head, rest) = part.split_at_checked(end).unwrap_or_default();
    let head = std::str::from_utf8(head).map_err(|_| "a part's headers are not text".to_owned())?;
    Ok((head, rest.get(4..).unwrap_or_default()))
}

fn file_name(head: &str) -> Result<Option<String>, String> {
    for line in head.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.trim().eq_ignore_ascii_case("content-disposition") {
            return parameter(value, "filename");
        }
    }
    Ok(None)
}

fn boundary(content_type: &str) -> Result<String, String> {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("multipart/form-data") {
        return Err("it is not `multipart/form-data`".to_owned());
    }
    let boundary = parameter(content_type, "boundary")?.unwrap_or_default();
    if boundary.is_empty() || boundary.len() > BOUNDARY_LIMIT {
        return Err(format!("its boundary does not have 1 to {BOUNDARY_LIMIT} characters"));
    }
    Ok(boundary)
}

/// A parameter behind the first `;` of a header's value, out of its quotes.
fn parameter(value: &str, wanted: &str) -> Result<Option<String>, String> {
    let mut found = None;
    let mut rest = value.split_once(';').map(|(_, rest)| rest);
    while let Some(text) = rest {
        let Some((name, value)) = text.split_once('=') else { break };
        let (text, behind) = if let Some(quoted) = value.trim_start().strip_prefix('"') {
            unquoted(quoted)?
        } else {
            let (plain, behind) = value.split_at(value.find(';').unwrap_or(value.len()));
            (plain.trim().to_owned(), behind)
        };
        if name.trim().eq_ignore_ascii_case(wanted) && found.replace(text).is_some() {
            return Err(format!("a header has two parameters `{wanted}`"));
        }
        rest = behind.split_once(';').map(|(_, rest)| rest);
    }
    Ok(found)
}

/// A quoted text and what is behind it.
fn unquoted(text: &str) -> Result<(String, &str), String> {
    let mut plain = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((plain, text.get(at + 1..).unwrap_or_default())),
            '\\' => plain.extend(characters.next().map(|(_, escaped)| escaped)),
            other => plain.push(other),
        }
    }
    Err("a quoted parameter does not end".to_owned())
}

/// A part for each role: the base roles, and as many delegations as a file may list.
const PART_LIMIT: usize = 1100;
/// Clients write two headers, one of which has a role's name.
const HEADER_LIMIT: usize = 4096;
/// RFC 2046.
const BOUNDARY_LIMIT: usize = 70;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=b0";

    fn names_and_contents(body: &str) -> Result<Vec<(Option<String>, String)>, String> {
        let parts = parts(TYPE, body.as_bytes())?;
        let text = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
        Ok(parts.into_iter().map(|it| (it.file_name, text(it.content))).collect())
    }

    fn part(name: &str, content: &str) -> String {
        format!(
            "--b0\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n{content}\r\n"
        )
    }

    #[test]
    fn what_docker_sends() {
        let body =
            [part("root", "{1}"), part("targets/alice", "{\r\n--b00}"), "--b0--\r\n".to_owned()].concat();
        let expected = [("root", "{1}"), ("targets/alice", "{\r\n--b00}")];
        let expected = expected.map(|(name, content)| (Some(name.to_owned()), content.to_owned()));
        assert_eq!(names_and_contents(&body).unwrap(), expected);
    }

    #[test]
    fn no_parts_are_a_body() {
        for body in ["\r\n--b0--\r\n", "--b0--\r\n", "--b0--", "preamble\r\n--b0--\r\nepilogue"] {
            assert_eq!(names_and_contents(body).unwrap(), [], "{body:?}");
        }
    }

    #[test]
    fn odd_bodies_are_read_as_go_reads_them() {
        let named = |name: Option<&str>, content: &str| (name.map(str::to_owned), content.to_owned());
        for (body, expected) in [
            ("--b0 \t\r\n\r\nx\r\n--b0--", named(None, "x")),
            ("--b0\r\n\r\n\r\n--b0--", named(None, "")),
            (
                "--b0\r\nContent-Disposition: form-data; name=files; filename=root\r\n\r\nx\r\n--b0--",
                named(Some("root"), "x"),
            ),
            (
                "--b0\r\ncontent-disposition:form-data;FILENAME=\"a\\\"b;c=d\"\r\n\r\nx\r\n--b0--",
                named(Some("a\"b;c=d"), "x"),
            ),
            ("--b0\r\nX-Y: z\r\n\r\n\r\n\r\n--b0--", named(None, "\r\n")),
        ] {
            assert_eq!(names_and_contents(body).unwrap(), [expected], "{body:?}");
        }
    }

    #[test]
    fn broken_bodies_are_refused() {
        for body in [
            "",
            "{}",
            "--b1--\r\n",
            "--b0\r\n",
            "--b0\r\n\r\n",
            "--b0\r\n\r\nx",
            "--b0\r\n\r\nx\r\n--b0",
            "--b0\r\nX: y\r\n--b0--\r\n",
            "--b0\n\nx\n--b0--\n",
            "--b0\r\nContent-Disposition: form-data; filename=\"root\r\n\r\nx\r\n--b0--",
            "--b0\r\nContent-Disposition: form-data; filename=a; filename=b\r\n\r\nx\r\n--b0--",
        ] {
            assert!(names_and_contents(body).is_err(), "{body:?}");
        }
        for content_type in [
            "",
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"b0",
            "multipart/mixed; boundary=b0",
            &format!("multipart/form-data; boundary={}", "b".repeat(71)),
        ] {
            assert!(parts(content_type, b"--b0--\r\n").is_err(), "{content_type:?}");
        }
        let many = [part("root", "x").repeat(PART_LIMIT + 1), "--b0--".to_owned()].concat();
        assert!(names_and_contents(&many).is_err());
        let long = format!("--b0\r\nX: {}\r\n\r\nx\r\n--b0--", "y".repeat(HEADER_LIMIT));
        assert!(names_and_contents(&long).is_err());
    }

    proptest! {
        #[test]
        fn parts_come_back_as_they_were(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4)) {
            prop_assume!(!contents.iter().any(|it| it.windows(4).any(|it| it == b"--b0")));
            let mut body = Vec::new();
            for content in &contents {
                body.extend_from_slice(b"--b0\r\nContent-Disposition: form-data; filename=\"x\"\r\n\r\n");
                body.extend_from_slice(content);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"--b0--\r\n");
            let parts = parts("multipart/form-data; boundary=\"b0\"", &body).unwrap();
            let found: Vec<&[u8]> = parts.iter().map(|it| it.content).collect();
            prop_assert_eq!(found, contents.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_an_answer(body in "(--b0|\r\n|--|[a-z:;=\" ]){0,20}") {
            let _ = parts(TYPE, body.as_bytes());
        }
    }
}
