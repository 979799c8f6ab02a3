//! Dockerfiles: any bytes are read or refused; edits change what they name and nothing else;
//! pins keep build arguments alive; a second run changes nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trustgate::dockerfile::rules::keeps_its_rules;
use trustgate::dockerfile::{detect_syntax, line_and_column, onbuild_uses};

fuzz_target!(|data: &[u8]| {
    let source = match data.split_first() {
        // Half of the inputs are made of words that Dockerfiles have; raw bytes rarely get that far.
        Some((first, rest)) if first % 2 == 0 => {
            rest.iter().map(|&piece| PIECES[usize::from(piece) % PIECES.len()]).collect::<String>().into_bytes()
        }
        _ => data.to_vec(),
    };
    if let Err(problem) = keeps_its_rules(&source) {
        panic!("{problem}\n{}", String::from_utf8_lossy(&source));
    }
    let _ = detect_syntax(&source);
    let _ = line_and_column(&source, data.len());
    let _ = onbuild_uses(&String::from_utf8_lossy(&source));
});

const PIECES: &[&str] = &[
    "FROM ", "FROM a\n", "FROM alpine:3", " AS b", "\n", "\n", "\n", "\r\n", "\\\n", "`\n", "\\", "`", " ", "\t", "\"",
    "'", "$X", "${X}", "${Y}", "${", "}", ":-", "-", ":+", "+", ":?", "?", "#", "##", "%", "%%", "/", "//", "ARG ",
    "ARG X=1\n", "ARG Y=$X\n", "ARG X\n", "ARG X", "ARG IMG=node:20\n", "$IMG", "${IMG}-slim", "node:${X}-a", "a:$Y",
    "${Y:-b:1}", "COPY --from=b / /\n", "COPY --from=", "COPY --from=img:1 ", "x y\n", "RUN --mount=type=bind,from=",
    "RUN ", "--mount=from=c,target=/c ", "ONBUILD ", "<<EOF", "<<-E", "<< E", "\nEOF\n", "\nE\n", "EOF",
    "# escape=`\n", "# syntax=x\n", "# check=y\n", "# c\n", "  # c\n", "\u{feff}", "\u{a0}", "é", "@sha256:",
    "0000000000000000000000000000000000000000000000000000000000000000", "[", "]", "\"x\"", ",", "=", "--", "scratch",
    "b", "B", "X", "Y", "0", "1", "ENV A=1\n", "LABEL a=b\n", "--platform=$TARGETPLATFORM ", "TARGETARCH", ".", ":",
    "latest", "reg.test:5000/", "_", "*", "~", "\u{85}", "\x0b", "SOURCE_DATE_EPOCH", "context",
];
